import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  Attributes,
  BodyWriter,
  decodeMessages,
  encodeRequests,
  headerBytes,
  MalformedNetlink,
  type NetlinkMessage,
  splitBody,
} from './wire.ts'

const u16 = fc.nat(0xffff)
const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
const request = fc.record({ type: u16, flags: u16, body: fc.uint8Array({ maxLength: 80 }) })

const all = (datagram: Buffer): readonly NetlinkMessage[] => [...decodeMessages(datagram)]
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')

describe('messages', () => {
  test('a batch reads back in order, numbered on, aligned, and only its last asks for more', () => {
    fc.assert(
      fc.property(fc.array(request, { minLength: 1 }), u32, u16, (requests, first, lastFlags) => {
        const datagram = encodeRequests(requests, first, lastFlags)
        expect(datagram.length % 4).toBe(0)
        expect(all(datagram)).toEqual(
          requests.map(({ type, flags, body }, index) => ({
            type,
            flags: index === requests.length - 1 ? flags | lastFlags : flags,
            sequence: (first + index) % 2 ** 32,
            body: Buffer.from(body),
          })),
        )
      }),
    )
  })

  test.each([
    ['a header that is cut off', '10000000 0300'],
    ['a length of zero', '00000000 0300 0000 00000000 00000000'],
    ['a length below the header’s', '0f000000 0300 0000 00000000 00000000'],
    ['a length beyond the datagram', '11000000 0300 0000 00000000 00000000'],
    ['the greatest length', 'ffffffff 0300 0000 00000000 00000000'],
    ['a good message and a cut one', '10000000 0300 0000 00000000 00000000 10000000'],
  ])('%s is malformed', (_what, bytes) => {
    expect(() => all(hex(bytes))).toThrow(MalformedNetlink)
  })

  test('an empty datagram has none', () => {
    expect(all(Buffer.alloc(0))).toEqual([])
  })

  test('the last message need not be padded', () => {
    expect(all(hex('11000000 0300 0000 00000000 00000000 aa'))).toEqual([
      { type: 3, flags: 0, sequence: 0, body: Buffer.of(0xaa) },
    ])
  })
})

describe('attributes', () => {
  test('values of every length read back, however large the body becomes', () => {
    const values = fc.uniqueArray(fc.tuple(fc.nat(0x3fff), fc.uint8Array({ maxLength: 600 })), {
      selector: ([type]) => type,
      maxLength: 20,
    })
    fc.assert(
      fc.property(values, (entries) => {
        const writer = new BodyWriter()
        for (const [type, value] of entries) writer.attribute(type, value)
        const decoded = Attributes.decode(writer.done())
        expect(decoded.types()).toEqual(entries.map(([type]) => type))
        for (const [type, value] of entries) expect(decoded.bytes(type)).toEqual(Buffer.from(value))
      }),
    )
  })

  test('every kind of value stands as the kernel wants it', () => {
    const body = new BodyWriter()
      .bytes(Buffer.of(1, 2, 3, 4))
      .u8(1, 0xfe)
      .u32(2, 0xffff_fffe)
      .text(3, 'eth0')
      .nested(4, (inner) => inner.u8(5, 6).nested(7, () => undefined))
      .done()
    expect(body).toEqual(
      hex(
        '01020304' +
          '0500 0100 fe000000' +
          '0800 0200 feffffff' +
          '0900 0300 65746830 00000000' +
          '1000 0400' +
          '0500 0500 06000000' +
          '0400 0700',
      ),
    )
    const [fixed, attributes] = splitBody(body, 4)
    expect(fixed).toEqual(Buffer.of(1, 2, 3, 4))
    expect(attributes.u8(1)).toBe(0xfe)
    expect(attributes.u32(2)).toBe(0xffff_fffe)
    expect(attributes.text(3)).toBe('eth0')
    expect(attributes.nested(4)?.u8(5)).toBe(6)
    expect(attributes.nested(4)?.nested(7)?.types()).toEqual([])
    expect(attributes.nested(9)).toBeUndefined()
  })

  test('of a repeated one the last counts', () => {
    expect(Attributes.decode(hex('0500 0100 01000000 0500 0100 02000000')).u8(1)).toBe(2)
  })

  test('the nested and byte-order flags are not part of the type', () => {
    expect(Attributes.decode(hex('0800 0480 0500 0100')).bytes(4)).toEqual(hex('0500 0100'))
    expect(Attributes.decode(hex('0800 0440 00000001')).bytes(4)).toEqual(hex('00000001'))
  })

  test('text ends at its zero, or with the attribute', () => {
    expect(Attributes.decode(hex('0900 0300 6c6f 00 7878 000000')).text(3)).toBe('lo')
    expect(Attributes.decode(hex('0600 0300 6c6f 0000')).text(3)).toBe('lo')
    expect(Attributes.decode(hex('0400 0300')).text(3)).toBe('')
  })

  test.each([
    ['a length of zero', '0000 0100 00000000'],
    ['a length below the header’s', '0300 0100 00000000'],
    ['a length beyond the body', '0900 0100 00000000'],
  ])('%s is malformed', (_what, bytes) => {
    expect(() => Attributes.decode(hex(bytes))).toThrow(MalformedNetlink)
  })

  test.each([
    ['u8', '0400 0100', 1],
    ['u16', '0500 0100 01000000', 2],
    ['u32', '0600 0100 01000000', 4],
  ] as const)('a value too short for %s is malformed', (read, bytes, size) => {
    expect(() => Attributes.decode(hex(bytes))[read](1)).toThrow(
      `has ${size - 1 - (size === 4 ? 1 : 0)} bytes, not ${size}`,
    )
  })

  test('bytes that cannot be an attribute any more are padding', () => {
    expect(Attributes.decode(hex('0500 0100 01000000 000000')).types()).toEqual([1])
  })
})

test('a body without its fixed part is malformed', () => {
  expect(() => splitBody(Buffer.alloc(11), 12)).toThrow('a body of 11 bytes where 12 are due')
  expect(splitBody(Buffer.alloc(12), 12)[1].types()).toEqual([])
})

test('a header is 16 bytes', () => {
  expect(encodeRequests([{ type: 1, flags: 2, body: new Uint8Array(0) }], 3, 4)).toEqual(
    hex('10000000 0100 0600 03000000 00000000'),
  )
  expect(headerBytes).toBe(16)
})
