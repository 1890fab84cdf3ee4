// Random tables over few names, so that two of them have much in common, and every kind of change comes up.
import fc from 'fast-check'
import { ipv4FromNumber } from '../base/ip.ts'
import { pack, type Packed, packRange } from './datatype.ts'
import { type Elements, elementsOf, setElementsOf, type Verdict } from './elements.ts'
import type { BaseChain, Chain, NftSet, Rule, Table } from './model.ts'
import { concat, dispatch, dnatTo, equals, isIn, isProtocol, lookup, random, verdict } from './statement.ts'

const serviceKey = ['ipv4_addr', 'inet_proto', 'inet_service'] as const
const endpointKey = ['ipv4_addr', 'inet_service', 'random'] as const
const endpointData = ['ipv4_addr', 'inet_service'] as const

const address = fc.integer({ min: 0x0a00_0000, max: 0x0a00_0007 }).map(ipv4FromNumber)
const port = fc.constantFrom(53, 80, 443)
const targets = ['lb-1', 'lb-2', 'lb-3'] as const

const target = fc.constantFrom<Verdict[]>(...targets.map((name): Verdict => `goto ${name}`), 'drop', 'accept')
const services = fc
  .array(fc.tuple(fc.tuple(address, fc.constantFrom('tcp' as const, 'udp' as const), port), target), { maxLength: 12 })
  .map((entries) => new Map(entries.map(([key, value]): [Packed, Verdict] => [pack(serviceKey, key), value])))
const endpoints = fc
  .array(fc.tuple(fc.tuple(address, port, fc.nat(3)), fc.tuple(address, port)), { maxLength: 40 })
  .map((entries) => elementsOf(entries.map(([key, data]) => [pack(endpointKey, key), pack(endpointData, data)])))
const members = fc.array(address).map((list) => setElementsOf(list.map((one) => pack(['ipv4_addr'], [one]))))
// Blocks of one size do not overlap, but are next to each other.
const blocks = fc
  .uniqueArray(fc.tuple(fc.constantFrom(0, 1, 2, 3, 254, 255), target), { maxLength: 6, selector: ([octet]) => octet })
  .map((entries) => new Map(entries.map(([octet, value]) => [blockOf(octet * 2 ** 24, 0x00ff_ffff), value])))
const portRanges = fc.uniqueArray(fc.nat(7), { maxLength: 8 }).map((indexes) =>
  setElementsOf(
    indexes.map((index) => {
      const first = ipv4FromNumber(0x0a00_0000 + index * 256)
      const last = ipv4FromNumber(0x0a00_0000 + index * 256 + 255)
      return packRange(['ipv4_addr', 'inet_service'], [first, index * 10], [last, index * 10 + 9])
    }),
  ),
)

function blockOf(first: number, span: number): Packed {
  return packRange(['ipv4_addr'], [ipv4FromNumber(first)], [ipv4FromNumber(first + span)])
}

const base: BaseChain = { type: 'nat', hook: 'prerouting', priority: -100, policy: 'accept' }
const filterBase = fc.constantFrom<BaseChain[]>(
  { type: 'filter', hook: 'forward', priority: 0, policy: 'accept' },
  { type: 'filter', hook: 'forward', priority: 0, policy: 'drop' },
)
const dispatchRules: readonly Rule[] = [
  [dispatch(concat('ip daddr', 'meta l4proto', 'th dport'), 'services')],
  [dispatch('ip saddr', 'blocks')],
]

function balanceRule(count: number): Rule {
  const key = concat('ip daddr', 'th dport', random(count))
  return [isProtocol('tcp'), dnatTo({ lookup: lookup(key, 'endpoints'), yields: 'address and port' })]
}

const matching = fc.constantFrom<Rule[]>(
  [isIn('ip saddr', 'members'), verdict('accept')],
  [equals('ip saddr', '10.0.0.0/30'), { kind: 'counter' }, verdict('drop')],
  [isProtocol('tcp'), isIn(concat('ip daddr', 'th dport'), 'ranges'), verdict('accept')],
  [equals('ct state', ['established', 'related']), verdict('accept')],
  [isProtocol('tcp'), equals('tcp dport', 22), { kind: 'reject', with: 'tcp reset' }],
  [equals('iifname', 'oci*'), verdict('return')],
)

const setOf = (shape: Omit<NftSet, 'elements'>, elements: fc.Arbitrary<Elements>): fc.Arbitrary<NftSet> =>
  elements.map((filled) => ({ ...shape, elements: filled }))

interface Parts {
  readonly services: Map<Packed, Verdict>
  readonly chains: readonly (typeof targets)[number][]
  readonly counts: readonly number[]
  readonly filter: { readonly base: BaseChain; readonly rules: Rule[] } | undefined
  readonly endpoints: NftSet
  readonly members: NftSet
  readonly blocks: Map<Packed, Verdict>
  readonly ranges: NftSet
  readonly spare: NftSet | undefined
}

const parts: fc.Arbitrary<Parts> = fc.record({
  services,
  chains: fc.subarray([...targets]),
  counts: fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 3, maxLength: 3 }),
  filter: fc.option(fc.record({ base: filterBase, rules: fc.array(matching, { maxLength: 5 }) }), { nil: undefined }),
  endpoints: setOf({ key: endpointKey, data: endpointData, ports: 'tcp' }, endpoints),
  members: setOf({ key: ['ipv4_addr'] }, members),
  blocks,
  ranges: setOf({ key: ['ipv4_addr', 'inet_service'], interval: true }, portRanges),
  // Comes and goes, and is now of this type, now of that.
  spare: fc.option(
    fc.oneof(setOf({ key: ['ipv4_addr'] }, members), setOf({ key: ['ipv4_addr'], counted: true }, members)),
    {
      nil: undefined,
    },
  ),
})

function assemble({ chains, counts, filter, spare, ...sets }: Parts): Table {
  const isThere = (value: Verdict): boolean =>
    chains.every((name) => `goto ${name}` !== value) === !value.startsWith('goto')
  const known = (values: Map<Packed, Verdict>): Elements =>
    elementsOf([...values].filter(([, value]) => isThere(value)))
  const all: [string, NftSet][] = [
    ['services', { key: serviceKey, data: 'verdict', elements: known(sets.services) }],
    ['endpoints', sets.endpoints],
    ['members', sets.members],
    ['blocks', { key: ['ipv4_addr'], data: 'verdict', interval: true, elements: known(sets.blocks) }],
    ['ranges', sets.ranges],
  ]
  const filterChains: [string, Chain][] = filter === undefined ? [] : [['isolation', filter]]
  return {
    family: 'ip',
    name: 'vcn-test',
    sets: new Map(spare === undefined ? all : [...all, ['spare', spare]]),
    chains: new Map<string, Chain>([
      ['entry', { base, rules: dispatchRules }],
      ...chains.map((name, index): [string, Chain] => [name, { rules: [balanceRule(counts[index] ?? 1)] }]),
      ...filterChains,
    ]),
  }
}

export const table: fc.Arbitrary<Table> = parts.map(assemble)
