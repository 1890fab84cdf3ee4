import fc from 'fast-check'
import { expect, test } from 'vitest'
import { anyTraffic } from './cluster-generator.fixture.ts'
import type { Decision } from './manifests.fixture.ts'
import { decide } from './naive-model.fixture.ts'
import { resolveManifests } from './resolve-manifests.fixture.ts'
import { decideByTable } from './table-decision.fixture.ts'

test('the table means what the objects mean, for any packet in any cluster', () => {
  const seen = new Map<Decision['kind'], number>()
  fc.assert(
    fc.property(anyTraffic, ({ cluster, packets }) => {
      const table = resolveManifests(cluster)
      for (const packet of packets) {
        const expected = decide(cluster, packet)
        expect(decideByTable(table, packet), JSON.stringify(packet)).toEqual(expected)
        seen.set(expected.kind, (seen.get(expected.kind) ?? 0) + 1)
      }
    }),
    { numRuns: 1500 },
  )
  // The generator must reach them all, or the comparison says little.
  for (const kind of ['forward', 'reject', 'drop', 'pass'] as const)
    expect(seen.get(kind) ?? 0, kind).toBeGreaterThan(100)
})
