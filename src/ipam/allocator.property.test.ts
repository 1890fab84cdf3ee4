import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Ipv4 } from '../base/ip.ts'
import type { AddressUse } from './address-pool.ts'
import { allocate, type AllocationStrategy } from './allocator.ts'
import { testAddresses, testVnic } from './ipam.fixture.ts'

const cooldownMs = 30
const vnics = [
  testVnic('A', testAddresses(4)),
  testVnic('B', testAddresses(3, 10)),
  testVnic('C', testAddresses(1, 20)),
]
const addressCount = 8

/** The rule as one would tell it; slow and plain. */
class NaiveNode {
  readonly held = new Set<Ipv4>()
  readonly releases = new Map<Ipv4, number>()

  free(addresses: readonly Ipv4[], nowMs: number): readonly Ipv4[] {
    return addresses
      .filter((address) => !this.held.has(address))
      .filter((address) => nowMs - (this.releases.get(address) ?? -Infinity) >= cooldownMs)
  }

  choose(strategy: AllocationStrategy, nowMs: number): Ipv4 | undefined {
    const freeByVnic = vnics.map((vnic) => this.free(vnic.addresses, nowMs)).filter((free) => free.length > 0)
    if (strategy === 'spread') freeByVnic.sort((a, b) => b.length - a.length)
    const [free = []] = freeByVnic
    const neverUsed = free.filter((address) => !this.releases.has(address))
    const longestAgo = free.toSorted((a, b) => (this.releases.get(a) ?? 0) - (this.releases.get(b) ?? 0))
    return neverUsed[0] ?? longestAgo[0]
  }
}

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('allocate'), strategy: fc.constantFrom('spread', 'pack') }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('release'), which: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait'), forMs: fc.integer({ min: 1, max: 20 }) }) },
)

function take(uses: Map<Ipv4, AddressUse>, strategy: AllocationStrategy, nowMs: number): Ipv4 | undefined {
  const allocated = allocate({ vnics, uses, quarantined: new Set(), nowMs }, { strategy })
  if (!allocated.ok) return undefined
  const { address } = allocated.value
  uses.set(address, { state: 'adding', key: { network: 'pods', containerId: `of-${address}`, ifname: 'eth0' } })
  return address
}

test('any order of allocations, releases and waits gives what the plain rule gives', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const naive = new NaiveNode()
      const uses = new Map<Ipv4, AddressUse>()
      let nowMs = 1000
      for (const step of steps) {
        if (step.kind === 'wait') nowMs += step.forMs
        else if (step.kind === 'release') {
          const address = [...naive.held][step.which % naive.held.size]
          if (address === undefined) continue
          naive.held.delete(address)
          naive.releases.set(address, nowMs)
          uses.set(address, { state: 'cooling', releasedMs: nowMs, coolingUntilMs: nowMs + cooldownMs })
        } else {
          const expected = naive.choose(step.strategy, nowMs)
          expect(take(uses, step.strategy, nowMs)).toBe(expected)
          if (expected !== undefined) naive.held.add(expected)
        }
      }
      // None is lost: when every cooldown is over, all that nobody holds can be had, once each.
      const rest = Array.from({ length: addressCount + 1 }, () => take(uses, 'spread', nowMs + cooldownMs))
      const given = [...naive.held, ...rest.filter((address) => address !== undefined)]
      expect(given.toSorted()).toEqual(vnics.flatMap((vnic) => vnic.addresses).toSorted())
    }),
    { numRuns: 500 },
  )
})
