import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeAddress } from './address.ts'
import { capturedAnswers, capturedRequests } from './captured.fixture.ts'
import { decodeAck, decodeDone } from './failure.ts'
import { decodeLink } from './link.ts'
import { decodeChange } from './monitor.ts'
import { decodeNeighbour } from './neighbour.ts'
import { decodeRoute } from './route.ts'
import { decodeRule } from './rule.ts'
import { decodeMessages, MalformedNetlink, type NetlinkMessage } from './wire.ts'

const datagrams = [...capturedAnswers.flatMap(({ hex }) => hex), ...capturedRequests.map(({ hex }) => hex)].map((hex) =>
  Buffer.from(hex, 'hex'),
)
const messages = datagrams.flatMap((datagram) => [...decodeMessages(datagram)])

const decoders: Readonly<Record<string, (message: NetlinkMessage) => unknown>> = {
  decodeLink: ({ body }) => decodeLink(body),
  decodeAddress: ({ body }) => decodeAddress(body),
  decodeRoute: ({ body }) => decodeRoute(body),
  decodeRule: ({ body }) => decodeRule(body),
  decodeNeighbour: ({ body }) => decodeNeighbour(body),
  decodeAck,
  decodeDone,
  decodeChange,
}

/** The only thing that bad bytes may lead to. */
function onlyMalformed(decode: () => unknown): 'decoded' | 'malformed' {
  try {
    decode()
    return 'decoded'
  } catch (error) {
    expect(error).toBeInstanceOf(MalformedNetlink)
    return 'malformed'
  }
}

/** Everything the program does with a datagram; the number of steps is bounded by its bytes. */
function decodeDatagram(datagram: Buffer): void {
  let count = 0
  onlyMalformed(() => {
    for (const message of decodeMessages(datagram)) {
      count++
      for (const decode of Object.values(decoders)) onlyMalformed(() => decode(message))
    }
  })
  expect(count).toBeLessThanOrEqual(datagram.length / 16)
}

const anyMessage = fc.constantFrom(...messages)
const runs = { numRuns: 2000 }

describe.each(Object.entries(decoders))('%s of', (_name, decode) => {
  test('every captured message cut off at every byte', () => {
    for (const message of messages) {
      for (let length = 0; length < message.body.length; length++) {
        onlyMalformed(() => decode({ ...message, body: message.body.subarray(0, length) }))
      }
    }
    expect(messages.length).toBeGreaterThan(0)
  })

  test('captured messages with some bits flipped', () => {
    fc.assert(
      fc.property(
        anyMessage,
        fc.array(fc.tuple(fc.nat(), fc.nat(7)), { minLength: 1, maxLength: 6 }),
        (message, flips) => {
          const body = Buffer.from(message.body)
          for (const [nth, bit] of body.length === 0 ? [] : flips) {
            const at = nth % body.length
            body.writeUInt8(body.readUInt8(at) ^ (1 << bit), at)
          }
          onlyMalformed(() => decode({ ...message, body }))
        },
      ),
      runs,
    )
  })

  // Lengths are where a decoder goes wrong: every 16 bits of a message take their turn as one.
  test.each([0, 1, 2, 3, 4, 5, 8, 0x7fff, 0x8000, 0xffff])('captured messages with any 16 bits made %i', (value) => {
    for (const message of messages) {
      for (let at = 0; at + 2 <= message.body.length; at += 2) {
        const body = Buffer.from(message.body)
        body.writeUInt16LE(value, at)
        onlyMalformed(() => decode({ ...message, body }))
      }
    }
    expect(messages.length).toBeGreaterThan(0)
  })

  test('random bytes under random types and flags', () => {
    const u16 = fc.nat(0xffff)
    const type = fc.oneof(fc.integer({ min: 2, max: 34 }), u16)
    fc.assert(
      fc.property(type, u16, fc.uint8Array({ maxLength: 256 }), (type, flags, bytes) => {
        onlyMalformed(() => decode({ type, flags, sequence: 0, body: Buffer.from(bytes) }))
      }),
      runs,
    )
  })

  test('a fixed part and random attributes of every type with random lengths', () => {
    const attribute = fc.tuple(
      fc.integer({ min: 0, max: 60 }),
      fc.uint8Array({ maxLength: 40 }),
      fc.integer({ min: -4, max: 4 }),
    )
    fc.assert(
      fc.property(fc.constantFrom(2, 10, 0, 128), fc.array(attribute), (family, attributes) => {
        const fixed = Buffer.alloc(12)
        fixed[0] = family
        fixed[7] = 1
        onlyMalformed(() =>
          decode({ type: 24, flags: 0, sequence: 0, body: Buffer.concat([fixed, ...attributes.map(encodeAttribute)]) }),
        )
      }),
      runs,
    )
  })
})

/** With a length field that is off by `error`. */
function encodeAttribute([type, value, error]: readonly [number, Uint8Array, number]): Buffer {
  const attribute = Buffer.alloc(Math.ceil((4 + value.length) / 4) * 4)
  attribute.writeUInt16LE(Math.max(0, 4 + value.length + error), 0)
  attribute.writeUInt16LE(type, 2)
  attribute.set(value, 4)
  return attribute
}

describe('whole datagrams', () => {
  test('captured, cut off at every byte', () => {
    for (const datagram of datagrams) {
      for (let length = 0; length < datagram.length; length++) decodeDatagram(datagram.subarray(0, length))
    }
    expect(datagrams.length).toBeGreaterThan(0)
  })

  test('random', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 512 }), (bytes) => decodeDatagram(Buffer.from(bytes))),
      runs,
    )
  })
})

test('undamaged, every captured answer decodes', () => {
  const outcomes = messages.map((message) => onlyMalformed(() => decodeChange(message)))
  expect(new Set(outcomes)).toEqual(new Set(['decoded']))
})
