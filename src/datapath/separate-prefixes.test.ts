import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { cidrContains, cidrSize, cidrsOverlap, formatCidr, type Ipv4Cidr, splitCidr } from '../base/cidr.ts'
import { type Ipv4, ipv4FromNumber, ipv4ToNumber } from '../base/ip.ts'
import { cidr4, ip4 } from './plan.fixture.ts'
import { type OwnedAddress, type OwnedPrefix, separatePrefixes } from './separate-prefixes.ts'

type Owner = 'a' | 'b' | 'c'
type Owned = OwnedAddress<Owner>
type Block = OwnedPrefix<Owner>

/** Last octets of addresses of 10.0.4.0/24, by owner. */
function owned(octets: Readonly<Partial<Record<Owner, readonly number[]>>>): readonly Owned[] {
  const owners = ['a', 'b', 'c'] as const
  return owners.flatMap((owner) => (octets[owner] ?? []).map((octet) => ({ address: ip4(`10.0.4.${octet}`), owner })))
}

const shown = (blocks: readonly Block[]): readonly string[] =>
  blocks.map(({ prefix, owner }) => `${owner}: ${formatCidr(prefix)}`)

describe('separatePrefixes', () => {
  test.each([
    ['no address', {}, []],
    ['one address', { a: [9] }, ['a: 10.0.4.0/24']],
    ['all addresses of one owner', { a: [2, 9, 200, 254] }, ['a: 10.0.4.0/24']],
    ['one owner in each half', { a: [2, 127], b: [128, 254] }, ['a: 10.0.4.0/25', 'b: 10.0.4.128/25']],
    [
      'an owner with a single address in the middle of another one’s',
      { a: [2, 6, 200], b: [4] },
      ['a: 10.0.4.0/30', 'b: 10.0.4.4/31', 'a: 10.0.4.6/31', 'a: 10.0.4.128/25'],
    ],
    ['two neighbours', { a: [10], b: [11] }, ['a: 10.0.4.10/32', 'b: 10.0.4.11/32']],
    [
      'two owners that alternate',
      { a: [8, 10], b: [9, 11] },
      ['a: 10.0.4.8/32', 'b: 10.0.4.9/32', 'a: 10.0.4.10/32', 'b: 10.0.4.11/32'],
    ],
    [
      'three owners with an aligned block each',
      { a: [0, 63], b: [64, 127], c: [128, 255] },
      ['a: 10.0.4.0/26', 'b: 10.0.4.64/26', 'c: 10.0.4.128/25'],
    ],
  ])('%s', (_what, octets, expected) => {
    expect(shown(separatePrefixes(cidr4('10.0.4.0/24'), owned(octets)))).toEqual(expected)
  })

  it('does not mind an address that is listed twice for one owner', () => {
    expect(shown(separatePrefixes(cidr4('10.0.4.9/32'), owned({ a: [9, 9] })))).toEqual(['a: 10.0.4.9/32'])
  })

  it('throws when one address has two owners', () => {
    expect(() => separatePrefixes(cidr4('10.0.4.0/24'), owned({ a: [9], b: [9] }))).toThrow(
      '10.0.4.9/32 has two owners',
    )
  })
})

const wide = cidr4('10.0.0.0/16')

/** Who owns what in a /16: addresses without an owner are absent. */
const ownerships = fc
  .uniqueArray(fc.record({ offset: fc.nat(cidrSize(wide) - 1), owner: fc.constantFrom<Owner>('a', 'b', 'c') }), {
    selector: ({ offset }) => offset,
    maxLength: 60,
  })
  .map((list) => list.map(({ offset, owner }) => ({ address: at(wide, offset), owner })))

function at(block: Ipv4Cidr, offset: number): Ipv4 {
  return ipv4FromNumber(ipv4ToNumber(block.address) + offset)
}

function coverOf(blocks: readonly Block[], address: Ipv4): readonly Block[] {
  return blocks.filter(({ prefix }) => cidrContains(prefix, address))
}

describe('separatePrefixes, of any addresses', () => {
  test('each address is in exactly one block, its owner’s', () => {
    fc.assert(
      fc.property(ownerships, (addresses) => {
        const blocks = separatePrefixes(wide, addresses)
        for (const { address, owner } of addresses) {
          expect(coverOf(blocks, address).map((block) => block.owner)).toEqual([owner])
        }
      }),
    )
  })

  test('no two blocks overlap, and none leaves the subnet', () => {
    fc.assert(
      fc.property(ownerships, (addresses) => {
        const prefixes = separatePrefixes(wide, addresses).map(({ prefix }) => prefix)
        const overlaps = prefixes.flatMap((prefix, index) =>
          prefixes.slice(index + 1).filter((other) => cidrsOverlap(prefix, other)),
        )
        expect(overlaps).toEqual([])
        expect(prefixes.filter(({ address }) => !cidrContains(wide, address))).toEqual([])
      }),
    )
  })

  test('in the midst of a change, an address that keeps its owner is in blocks of that owner only', () => {
    const mixture = fc.record({
      before: ownerships,
      after: ownerships,
      kept: ownerships,
      added: fc.infiniteStream(fc.boolean()),
    })
    fc.assert(
      fc.property(mixture, fc.boolean(), ({ before, after, kept, added }, isAdding) => {
        const stays = new Set(kept.map(({ address }) => address))
        const withKept = (list: readonly Owned[]): readonly Owned[] => [
          ...list.filter(({ address }) => !stays.has(address)),
          ...kept,
        ]
        const old = separatePrefixes(wide, withKept(before))
        const fresh = separatePrefixes(wide, withKept(after))
        // First some of the new blocks are there beside the old ones, then all of them and some of the old.
        const half = (blocks: readonly Block[]): readonly Block[] => blocks.filter(() => added.next().value)
        const present = isAdding ? [...old, ...half(fresh)] : [...half(old), ...fresh]
        for (const { address, owner } of kept) {
          expect([...new Set(coverOf(present, address).map((block) => block.owner))]).toEqual([owner])
        }
      }),
    )
  })
})

describe('separatePrefixes, against every way to cover a /28', () => {
  const small = cidr4('10.0.4.0/28')
  const covers = disjointBlocks(small)

  test('no cover has fewer blocks', () => {
    const smallOwnerships = fc.array(fc.constantFrom('a' as const, 'b' as const, undefined), {
      minLength: 16,
      maxLength: 16,
    })
    fc.assert(
      fc.property(smallOwnerships, (owners) => {
        const addresses = owners.flatMap((owner, offset) =>
          owner === undefined ? [] : [{ address: at(small, offset), owner }],
        )
        const bits = (owner: Owner): number =>
          owners.reduce((mask, each, offset) => (each === owner ? mask | (1 << offset) : mask), 0)
        const [a, b] = [bits('a'), bits('b')]
        const separates = (cover: readonly number[]): boolean => {
          const covered = cover.reduce((mask, block) => mask | block, 0)
          const isPure = (block: number): boolean => (block & a) === 0 || (block & b) === 0
          return cover.every(isPure) && ((a | b) & ~covered) === 0
        }
        const fewest = covers.find(separates)?.length
        expect(separatePrefixes(small, addresses)).toHaveLength(fewest ?? -1)
      }),
      { numRuns: 25 },
    )
  })

  /** All sets of disjoint aligned blocks, each block as the bits of its addresses, the smallest sets first. */
  function disjointBlocks(block: Ipv4Cidr): readonly (readonly number[])[] {
    const inside = (part: Ipv4Cidr): readonly (readonly number[])[] => {
      const offset = ipv4ToNumber(part.address) - ipv4ToNumber(block.address)
      const whole = [(2 ** cidrSize(part) - 1) << offset]
      if (part.prefixLength === 32) return [[], whole]
      const [low, high] = splitCidr(part)
      const highs = inside(high)
      return [whole, ...inside(low).flatMap((left) => highs.map((right) => [...left, ...right]))]
    }
    return inside(block).toSorted((x, y) => x.length - y.length)
  }
})
