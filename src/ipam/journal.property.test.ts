import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Ipv4 } from '../base/ip.ts'
import { vnicUsage } from './address-pool.ts'
import { allocate } from './allocator.ts'
import {
  byAddress,
  openJournal,
  readJournal,
  TempDirectory,
  testAddresses,
  testIntent,
  testVnic,
} from './ipam.fixture.ts'
import type { Journal } from './journal.ts'

const cooldownMs = 30
const vnic = testVnic('A', testAddresses(5))

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('add') }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('delete'), which: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait'), forMs: fc.integer({ min: 1, max: 20 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('setClockBack'), byMs: fc.integer({ min: 1, max: 200 }) }) },
)

function add(journal: Journal, name: string, nowMs: number): Ipv4 | undefined {
  const pool = { vnics: [vnic], uses: journal.view(nowMs), quarantined: new Set<Ipv4>(), nowMs }
  const allocated = allocate(pool, { strategy: 'spread' })
  if (!allocated.ok) return undefined
  const intent = testIntent(name, allocated.value.address, nowMs)
  expect(journal.intend(intent)).toMatchObject({ ok: true })
  journal.commit(intent.key, { ifindex: 1 })
  return intent.address
}

test('no address twice, none lost and no cooldown too short or too long, wherever the clock jumps back to', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      using directory = new TempDirectory()
      const path = directory.join('journal.db')
      const holders = new Map<string, Ipv4>()
      /** By a clock that never jumps, as the pods' packets see it. */
      const releasedAtMs = new Map<Ipv4, number>()
      let trueMs = 1000
      let behindMs = 0
      let jumpedAtMs = -Infinity
      let rows
      {
        using journal = openJournal(path)
        steps.forEach((step, index) => {
          if (step.kind === 'wait') trueMs += step.forMs
          else if (step.kind === 'setClockBack') {
            behindMs += step.byMs
            jumpedAtMs = trueMs
          } else if (step.kind === 'delete') {
            const [name, address] = [...holders][step.which % holders.size] ?? []
            if (name === undefined || address === undefined) return
            const { key } = testIntent(name, address, 0)
            journal.beginRelease(key)
            journal.release(key, { nowMs: trueMs - behindMs, cooldownMs })
            holders.delete(name)
            releasedAtMs.set(address, trueMs)
          } else {
            const address = add(journal, `pod-${index}`, trueMs - behindMs)
            if (address !== undefined) {
              expect([...holders.values()]).not.toContain(address)
              expect(trueMs - (releasedAtMs.get(address) ?? -Infinity)).toBeGreaterThanOrEqual(cooldownMs)
              holders.set(`pod-${index}`, address)
            }
          }
          const nowMs = trueMs - behindMs
          const usage = vnicUsage(vnic, { vnics: [vnic], uses: journal.view(nowMs), quarantined: new Set(), nowMs })
          expect(usage.held).toBe(holders.size)
          const mayCool = [...releasedAtMs].filter(
            ([address, atMs]) =>
              ![...holders.values()].includes(address) && trueMs - Math.max(atMs, jumpedAtMs) < cooldownMs,
          )
          expect(usage.cooling).toBeLessThanOrEqual(mayCool.length)
        })
        rows = byAddress(journal.all())
      }
      expect(readJournal(path)).toEqual(rows)
    }),
    { numRuns: 100 },
  )
})
