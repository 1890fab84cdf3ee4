import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  cidrContains,
  cidrSize,
  cidrsOverlap,
  disjointBlocks,
  formatCidr,
  hostCidr,
  type Ipv4Cidr,
  parseIpv4Cidr,
  splitCidr,
} from './cidr.ts'
import { ipFromBytes, type Ipv4, ipv4FromNumber, ipv4ToNumber, parseIpv4 } from './ip.ts'
import { unwrap } from './result.ts'

const block = (text: string): Ipv4Cidr => unwrap(parseIpv4Cidr(text))
const ipv4 = (text: string): Ipv4 => unwrap(parseIpv4(text))

const anyBlock = fc.tuple(fc.nat(0xffff_ffff), fc.integer({ min: 0, max: 32 })).map(([value, prefixLength]) => {
  const size = 2 ** (32 - prefixLength)
  return { address: ipv4FromNumber(Math.floor(value / size) * size), prefixLength }
})

describe('parseIpv4Cidr', () => {
  test.each(['0.0.0.0/0', '128.0.0.0/1', '10.0.0.0/8', '10.0.4.0/24', '10.0.4.252/30', '10.0.4.7/32', '0.0.0.0/32'])(
    '%s is a block',
    (text) => {
      expect(formatCidr(block(text))).toBe(text)
    },
  )

  test.each([
    ['nothing', ''],
    ['no length', '10.0.4.0'],
    ['an empty length', '10.0.4.0/'],
    ['a length above 32', '10.0.4.0/33'],
    ['a length with a leading zero', '10.0.0.0/08'],
    ['a length with a sign', '10.0.0.0/+8'],
    ['a length with a newline', '10.0.0.0/8\n'],
    ['a fraction', '10.0.0.0/8.0'],
    ['a netmask', '10.0.0.0/255.0.0.0'],
    ['two lengths', '10.0.0.0/8/8'],
    ['three numbers', '10.0.0/8'],
    ['a space', '10.0.0.0 /8'],
    ['IPv6', '2001:db8::/32'],
  ])('refuses %s', (_what, text) => {
    const error = `${JSON.stringify(text)} is not an IPv4 block such as 10.0.4.0/24`
    expect(parseIpv4Cidr(text)).toEqual({ ok: false, error })
  })

  test.each([
    ['10.0.4.7/24', '10.0.4.0/24'],
    ['10.0.4.1/31', '10.0.4.0/31'],
    ['192.168.0.0/1', '128.0.0.0/1'],
    ['0.0.0.1/0', '0.0.0.0/0'],
    ['255.255.255.255/9', '255.128.0.0/9'],
  ])('%s has host bits set: the block is %s', (text, correct) => {
    expect(parseIpv4Cidr(text)).toEqual({
      ok: false,
      error: `${JSON.stringify(text)} has host bits set; the block is ${correct}`,
    })
  })
})

test.each([
  ['10.0.4.0/24', '10.0.4.0', true],
  ['10.0.4.0/24', '10.0.4.255', true],
  ['10.0.4.0/24', '10.0.5.0', false],
  ['10.0.4.0/24', '10.0.3.255', false],
  ['10.0.4.7/32', '10.0.4.7', true],
  ['10.0.4.7/32', '10.0.4.6', false],
  ['0.0.0.0/0', '255.255.255.255', true],
  ['128.0.0.0/1', '127.255.255.255', false],
  ['128.0.0.0/1', '200.0.0.1', true],
])('%s contains %s: %s', (cidr, address, contained) => {
  expect(cidrContains(block(cidr), ipv4(address))).toBe(contained)
})

test.each([
  ['10.0.0.0/8', '10.0.4.0/24', true],
  ['10.0.4.0/24', '10.0.4.0/24', true],
  ['10.0.4.0/25', '10.0.4.128/25', false],
  ['0.0.0.0/0', '255.255.255.255/32', true],
  ['10.0.4.0/24', '10.0.5.0/24', false],
])('%s and %s overlap: %s, either way round', (a, b, overlap) => {
  expect(cidrsOverlap(block(a), block(b))).toBe(overlap)
  expect(cidrsOverlap(block(b), block(a))).toBe(overlap)
})

test.each([
  ['0.0.0.0/0', 2 ** 32],
  ['128.0.0.0/1', 2 ** 31],
  ['10.0.4.0/24', 256],
  ['10.0.4.7/32', 1],
])('%s holds %i addresses', (cidr, size) => {
  expect(cidrSize(block(cidr))).toBe(size)
})

describe('splitCidr', () => {
  test.each([
    ['0.0.0.0/0', '0.0.0.0/1', '128.0.0.0/1'],
    ['128.0.0.0/1', '128.0.0.0/2', '192.0.0.0/2'],
    ['10.0.4.0/24', '10.0.4.0/25', '10.0.4.128/25'],
    ['10.0.4.6/31', '10.0.4.6/32', '10.0.4.7/32'],
  ])('%s splits into %s and %s', (whole, first, second) => {
    expect(splitCidr(block(whole)).map(formatCidr)).toEqual([first, second])
  })

  test('one address cannot be split', () => {
    expect(() => splitCidr(block('10.0.4.7/32'))).toThrow('10.0.4.7/32 cannot be split')
  })

  test('the halves are disjoint and make up the block', () => {
    fc.assert(
      fc.property(
        anyBlock.filter(({ prefixLength }) => prefixLength < 32),
        fc.nat(0xffff_ffff),
        (whole, offset) => {
          const [first, second] = splitCidr(whole)
          expect(cidrsOverlap(first, second)).toBe(false)
          expect(cidrSize(first) + cidrSize(second)).toBe(cidrSize(whole))
          const inside = ipv4FromNumber(ipv4ToNumber(whole.address) + (offset % cidrSize(whole)))
          expect([first, second].filter((half) => cidrContains(half, inside))).toHaveLength(1)
        },
      ),
    )
  })
})

test('every block reads back from its text', () => {
  fc.assert(
    fc.property(anyBlock, (cidr) => {
      expect(parseIpv4Cidr(formatCidr(cidr))).toEqual({ ok: true, value: cidr })
    }),
  )
})

test('the block of one address is as long as its family', () => {
  expect(formatCidr(hostCidr(ipv4('10.0.4.7')))).toBe('10.0.4.7/32')
  expect(formatCidr(hostCidr(ipFromBytes(new Uint8Array(16))))).toBe('::/128')
})

/** Few enough to be in one another, and at both ends of the numbers. */
const nestedBlock = fc
  .tuple(fc.constantFrom(0, 0x0a00_0000, 0xffff_ff00), fc.nat(0xff), fc.constantFrom(0, 1, 8, 24, 28, 30, 31, 32))
  .map(([base, offset, prefixLength]): Ipv4Cidr => {
    const size = 2 ** (32 - prefixLength)
    return { address: ipv4FromNumber(Math.floor((base + offset) / size) * size), prefixLength }
  })

describe('disjoint blocks', () => {
  /** Each is kept unless an earlier one is the same, or any other one has it within itself. */
  function naively(blocks: readonly Ipv4Cidr[]): readonly string[] {
    const isCovered = ({ address, prefixLength }: Ipv4Cidr): boolean =>
      blocks.some((other) => other.prefixLength < prefixLength && cidrContains(other, address))
    return [...new Set(blocks.filter((block) => !isCovered(block)).map(formatCidr))].sort()
  }

  test('are those that none of the others contains, each once', () => {
    fc.assert(
      fc.property(fc.array(nestedBlock, { maxLength: 30 }), (blocks) => {
        expect(disjointBlocks(blocks).map(formatCidr).sort()).toEqual(naively(blocks))
      }),
      { numRuns: 500 },
    )
  })

  test.each([
    [
      ['10.0.0.0/9', '10.128.0.0/9'],
      ['10.0.0.0/9', '10.128.0.0/9'],
    ],
    [
      ['128.0.0.0/1', '255.255.255.255/32', '0.0.0.0/1'],
      ['0.0.0.0/1', '128.0.0.0/1'],
    ],
    [['10.0.0.0/32', '10.0.0.0/8', '0.0.0.0/0'], ['0.0.0.0/0']],
  ])('of %j are %j, by address', (given, kept) => {
    expect(disjointBlocks(given.map((text) => unwrap(parseIpv4Cidr(text)))).map(formatCidr)).toEqual(kept)
  })
})
