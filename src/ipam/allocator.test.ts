import { describe, expect, it, test } from 'vitest'
import type { Ipv4 } from '../base/ip.ts'
import { type AddressPool, type AddressUse, usage } from './address-pool.ts'
import { allocate, type AllocationError, type AllocationStrategy, describeAllocationError } from './allocator.ts'
import { testAddress, testAddresses, testVnic, testVnicId } from './ipam.fixture.ts'

const nowMs = 1_000_000
const key = { network: 'pods', containerId: 'c1', ifname: 'eth0' }

const unused = 'unused'
const live = 'live on an unknown interface'
const held: AddressUse = { state: 'attached', key }
/** Released so long ago, with a cooldown of 30 s. */
function released(agoMs: number): AddressUse {
  return { state: 'cooling', releasedMs: nowMs - agoMs, coolingUntilMs: nowMs - agoMs + 30_000 }
}
type Condition = AddressUse | typeof unused | typeof live

const [a1, a2, a3] = [testAddress(0), testAddress(1), testAddress(2)]
const [b1, b2, b3] = [testAddress(10), testAddress(11), testAddress(12)]

/** A node with VNIC A and VNIC B of three addresses each, in these conditions. */
function poolOf(a: readonly Condition[], b: readonly Condition[]): AddressPool {
  const uses = new Map<Ipv4, AddressUse>()
  const quarantined = new Set<Ipv4>()
  for (const [first, conditions] of [[0, a] as const, [10, b] as const]) {
    conditions.forEach((condition, index) => {
      if (condition === live) quarantined.add(testAddress(first + index))
      else if (condition !== unused) uses.set(testAddress(first + index), condition)
    })
  }
  return { vnics: [testVnic('A', [a1, a2, a3]), testVnic('B', [b1, b2, b3])], uses, quarantined, nowMs }
}

const allUnused = [unused, unused, unused] as const
const allHeld = [held, held, held] as const

type Row = [string, AllocationStrategy, readonly Condition[], readonly Condition[], Ipv4]
const choices: readonly Row[] = [
  ['takes the first address when none is used', 'spread', allUnused, allUnused, a1],
  ['takes the first address when none is used', 'pack', allUnused, allUnused, a1],
  ['takes from B when A has one less', 'spread', [held, unused, unused], allUnused, b1],
  ['takes from A as long as it has one', 'pack', [held, held, unused], allUnused, a3],
  ['goes on to B when A is full', 'pack', allHeld, allUnused, b1],
  ['takes from the first of equals', 'spread', [held, unused, unused], [held, unused, unused], a2],
  ['does not count a cooling address as free', 'spread', [released(29_999), unused, unused], allUnused, b1],
  ['counts an address as free the moment it has cooled', 'spread', [released(30_000), unused, unused], allUnused, a2],
  ['prefers a never-used address to one released ages ago', 'pack', [released(900_000), held, unused], allHeld, a3],
  [
    'prefers the address released longest ago',
    'pack',
    [released(50_000), released(90_000), released(70_000)],
    allUnused,
    a2,
  ],
  ['takes the first of those released at once', 'pack', [held, released(50_000), released(50_000)], allUnused, a2],
  [
    'never takes a cooling address, however many are held',
    'pack',
    [released(1), held, released(40_000)],
    allUnused,
    a3,
  ],
  ['does not count a quarantined address as free', 'spread', [live, unused, unused], allUnused, b1],
  ['passes over a quarantined address', 'pack', [live, unused, unused], allUnused, a2],
]

test.each(choices)('%s (%s)', (_, strategy, a, b, address) => {
  const vnicId = testVnicId(address === b1 ? 'B' : 'A')
  expect(allocate(poolOf(a, b), { strategy })).toEqual({ ok: true, value: { address, vnicId } })
})

describe('an empty pool', () => {
  it('is told with the counts of every VNIC', () => {
    const pool = poolOf([held, released(10), live], allHeld)
    expect(allocate(pool, { strategy: 'spread' })).toEqual({
      ok: false,
      error: {
        kind: 'pool-empty',
        vnics: [
          { vnicId: 'A', total: 3, held: 1, cooling: 1, quarantined: 1, free: 0, next: undefined },
          { vnicId: 'B', total: 3, held: 3, cooling: 0, quarantined: 0, free: 0, next: undefined },
        ],
      },
    })
  })

  it('is what a node without VNICs has', () => {
    const pool: AddressPool = { vnics: [], uses: new Map(), quarantined: new Set(), nowMs }
    expect(allocate(pool, { strategy: 'pack' })).toEqual({ ok: false, error: { kind: 'pool-empty', vnics: [] } })
  })
})

describe('a requested address', () => {
  const pool = poolOf([held, released(10_000), released(30_000)], [unused, live, unused])
  const router = pool.vnics[0]?.routerIp ?? a1
  const primary = pool.vnics[0]?.primaryAddress ?? a1
  const elsewhere = testAddress(99)

  test.each([
    ['is given when it was never used', b3, 'B'],
    ['is given when it has cooled', a3, 'A'],
  ])('%s', (_, requestedIp, vnicId) => {
    const allocated = allocate(pool, { strategy: 'spread', requestedIp })
    expect(allocated).toEqual({ ok: true, value: { address: requestedIp, vnicId } })
  })

  test.each<[string, Ipv4, AllocationError]>([
    ['held by somebody', a1, { kind: 'in-use', address: a1, key }],
    ['cooling', a2, { kind: 'cooling', address: a2, untilMs: nowMs + 20_000 }],
    ['on a live interface', b2, { kind: 'reserved', address: b2, vnicId: testVnicId('B'), reason: 'quarantined' }],
    [
      "the VNIC's own",
      primary,
      { kind: 'reserved', address: primary, vnicId: testVnicId('A'), reason: 'primary-address' },
    ],
    ["the router's", router, { kind: 'reserved', address: router, vnicId: testVnicId('A'), reason: 'router' }],
    ['not on this node', elsewhere, { kind: 'not-on-node', address: elsewhere }],
  ])('is refused when it is %s', (_, requestedIp, error) => {
    expect(allocate(pool, { strategy: 'spread', requestedIp })).toEqual({ ok: false, error })
  })

  it('cools for no longer than the cooldown from now when the clock was set back an hour', () => {
    const cooling: AddressUse = { state: 'cooling', releasedMs: nowMs + 3_600_000, coolingUntilMs: nowMs + 3_630_000 }
    const allocated = allocate(poolOf([cooling, held, held], allHeld), { strategy: 'pack', requestedIp: a1 })
    expect(allocated).toEqual({ ok: false, error: { kind: 'cooling', address: a1, untilMs: nowMs + 30_000 } })
  })
})

test.each<[string, AllocationError, string]>([
  [
    'the pool',
    { kind: 'pool-empty', vnics: usage(poolOf([held, released(1), live], allHeld)).vnics },
    'no free address on this node: VNIC A has 3 addresses: 1 held, 1 cooling, 1 quarantined; ' +
      'VNIC B has 3 addresses: 3 held, 0 cooling, 0 quarantined',
  ],
  ['the missing VNICs', { kind: 'pool-empty', vnics: [] }, 'this node has no VNIC with addresses for pods'],
  ['the address', { kind: 'not-on-node', address: a1 }, 'requested address 10.0.8.1 is on no VNIC of this node'],
  ['the holder', { kind: 'in-use', address: a1, key }, 'requested address 10.0.8.1 is in use by pods/c1/eth0'],
  [
    'the time',
    { kind: 'cooling', address: a1, untilMs: 0 },
    'requested address 10.0.8.1 was released a moment ago and cools down until 1970-01-01T00:00:00.000Z',
  ],
  [
    'the reason',
    { kind: 'reserved', address: a1, vnicId: testVnicId('A'), reason: 'router' },
    "requested address 10.0.8.1 is reserved: it is the subnet's router (VNIC A)",
  ],
])('the sentence for an error names %s', (_, error, sentence) => {
  expect(describeAllocationError(error)).toBe(sentence)
})

describe('usage', () => {
  it('adds up to the total of each VNIC and names the address that comes next', () => {
    const pool = poolOf([held, released(90_000), released(10)], [live, unused, unused])
    expect(usage(pool)).toEqual({
      vnics: [
        { vnicId: 'A', total: 3, held: 1, cooling: 1, quarantined: 0, free: 1, next: a2 },
        { vnicId: 'B', total: 3, held: 0, cooling: 0, quarantined: 1, free: 2, next: b2 },
      ],
      strayed: [],
    })
  })

  it('names held addresses that no VNIC has any more', () => {
    const [gone, history] = testAddresses(2, 50)
    const pool = poolOf(allUnused, allUnused)
    const uses = new Map([[gone ?? a1, held], [history ?? a1, released(90_000)]]) // prettier-ignore
    expect(usage({ ...pool, uses }).strayed).toEqual([gone])
  })
})

describe('addresses on their way back to the subnet', () => {
  const pool = { ...poolOf([unused, held, released(1)], allHeld), releasing: new Set([a1, a2, a3]) }

  it('are given to nobody, and count only while somebody has them or they cool', () => {
    expect(allocate(pool, { strategy: 'spread' })).toMatchObject({ ok: false, error: { kind: 'pool-empty' } })
    const [usageOfA] = usage(pool).vnics
    expect(usageOfA).toMatchObject({ total: 2, held: 1, cooling: 1, quarantined: 0, free: 0, next: undefined })
  })

  it('are refused to who asks for one', () => {
    const refused = allocate(pool, { strategy: 'spread', requestedIp: a1 })
    expect(refused.ok ? '' : describeAllocationError(refused.error)).toContain('it is on its way back to the subnet')
  })
})
