import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { cidrContains, cidrSize } from '../base/cidr.ts'
import { type Ipv4, ipv4FromNumber, ipv4ToNumber } from '../base/ip.ts'
import { chooseAddresses, type ChoiceInput } from './address-choice.ts'
import { cidr, ip } from './observation.fixture.ts'

const numbers = (addresses: readonly string[]): ReadonlySet<number> =>
  new Set(addresses.map((text) => ipv4ToNumber(ip(text))))
const range = (first: string, count: number): readonly Ipv4[] =>
  Array.from({ length: count }, (_, at) => ipv4FromNumber(ipv4ToNumber(ip(first)) + at))

interface Case {
  readonly cidrs?: readonly string[]
  readonly taken?: readonly string[]
  readonly own?: readonly string[]
  readonly siblings?: readonly string[]
  readonly count?: number
}

function choose({ cidrs = ['10.0.4.0/24'], taken = [], own = [], siblings = [], count = 1 }: Case): readonly string[] {
  // What a VNIC of the node has is taken like everything else.
  const all = numbers([...taken, ...own, ...siblings])
  return chooseAddresses({ cidrs: cidrs.map(cidr), taken: all, own: own.map(ip), siblings: siblings.map(ip), count })
}

describe('the addresses chosen', () => {
  test.each<[what: string, row: Case, chosen: readonly string[]]>([
    ['are the first ones of the region with most room', {}, ['10.0.4.64']],
    ['are where the VNIC is already', { own: ['10.0.4.200'], count: 2 }, ['10.0.4.192', '10.0.4.193']],
    ['are not where a sibling is', { cidrs: ['10.0.4.0/25'], siblings: ['10.0.4.70'] }, ['10.0.4.2']],
    [
      'are where a sibling is when nothing else is left',
      { cidrs: ['10.0.4.0/26'], siblings: ['10.0.4.9'] },
      ['10.0.4.2'],
    ],
    [
      'begin a new region when the own one is full',
      { cidrs: ['10.0.4.0/25'], own: range('10.0.4.2', 62), count: 2 },
      ['10.0.4.64', '10.0.4.65'],
    ],
    [
      'leave the subnet’s first two and its last to the VCN',
      { cidrs: ['10.0.4.0/29'], count: 8 },
      ['10.0.4.2', '10.0.4.3', '10.0.4.4', '10.0.4.5', '10.0.4.6'],
    ],
    ['are one in the smallest subnet', { cidrs: ['10.0.4.0/30'], count: 4 }, ['10.0.4.2']],
    ['are none in a full one', { cidrs: ['10.0.4.0/30'], taken: ['10.0.4.2'] }, []],
    [
      'are of the second block when the first is full',
      { cidrs: ['10.0.4.0/30', '10.0.9.0/30'], taken: ['10.0.4.2'] },
      ['10.0.9.2'],
    ],
  ])('%s', (_what, row, chosen) => {
    expect(choose(row)).toEqual(chosen)
  })
})

const blocks = fc
  .array(fc.record({ third: fc.integer({ min: 0, max: 3 }), prefixLength: fc.integer({ min: 24, max: 30 }) }), {
    minLength: 1,
    maxLength: 2,
  })
  .map((list) => list.map(({ third, prefixLength }, at) => cidr(`10.${at}.${third * 4}.0/${prefixLength}`)))
const inputs = blocks.chain((cidrs) => {
  const all = cidrs.flatMap((one) => range(one.address, cidrSize(one)))
  const some = fc.subarray(all)
  return fc.record<ChoiceInput>({
    cidrs: fc.constant(cidrs),
    taken: some.map(numbers),
    own: fc.subarray(all),
    siblings: fc.subarray(all),
    count: fc.nat(130),
  })
})

test('never an address that is taken, reserved, elsewhere or chosen twice; fewer than asked for only when no more are free', () => {
  fc.assert(
    fc.property(inputs, (input) => {
      const chosen = chooseAddresses(input)
      const reserved = numbers(input.cidrs.flatMap((one) => reservedOf(one)))
      const isFree = (address: Ipv4): boolean =>
        !input.taken.has(ipv4ToNumber(address)) && !reserved.has(ipv4ToNumber(address))
      const free = input.cidrs.flatMap((one) => range(one.address, cidrSize(one))).filter(isFree)
      expect(chosen.filter((address) => !isFree(address))).toEqual([])
      expect(chosen.filter((address) => !input.cidrs.some((one) => cidrContains(one, address)))).toEqual([])
      expect(new Set(chosen).size).toBe(chosen.length)
      expect(chosen).toHaveLength(Math.min(input.count, free.length))
    }),
    { numRuns: 50 },
  )
})

test('VNICs of a node that grow in turns keep to regions of their own while there is room', () => {
  const turns = fc.array(fc.record({ vnic: fc.nat(2), count: fc.integer({ min: 1, max: 8 }) }), { maxLength: 20 })
  fc.assert(
    fc.property(turns, (list) => {
      // 16 regions for 3 VNICs of 160 addresses at most: there is always one of nobody's.
      const cidrs = [cidr('10.0.4.0/22')]
      const held: Ipv4[][] = [[], [], []]
      for (const { vnic, count } of list) {
        const own = held[vnic] ?? []
        const siblings = held.filter((one) => one !== own).flat()
        own.push(...chooseAddresses({ cidrs, taken: numbers(held.flat()), own, siblings, count }))
      }
      const regions = held.map((own) => new Set(own.map((address) => Math.floor(ipv4ToNumber(address) / 64))))
      expect(regions.reduce((sum, { size }) => sum + size, 0)).toBe(new Set(regions.flatMap((one) => [...one])).size)
      // And to as few as they can: the subnet's first region has two places fewer, its last one.
      regions.forEach(({ size }, at) => expect(size).toBeLessThanOrEqual(Math.ceil((held[at]?.length ?? 0) / 62)))
    }),
    { numRuns: 50 },
  )
})

function reservedOf(block: ChoiceInput['cidrs'][number]): readonly string[] {
  const all = range(block.address, cidrSize(block))
  return [...all.slice(0, 2), ...all.slice(-1)]
}
