import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseIpv4 } from '../base/ip.ts'
import { unwrap } from '../base/result.ts'
import { objectKey } from '../kube/object.ts'
import { iterateElements } from '../nftables/elements.ts'
import { changesOf, ClusterState } from './cluster-state.fixture.ts'
import { decideFlow, type Party, type Traffic } from './decide-flow.ts'
import { anyHistory, nodeNames, outsideAddresses, packets } from './generator.fixture.ts'
import { type End, mayFlow, type Packet } from './naive-model.fixture.ts'
import { PolicyIndex } from './policy-index.ts'
import type { Change, PeerSet, PolicyTable } from './policy-table.ts'

function partyOf(end: End): Party {
  if ('address' in end) return { kind: 'outside', address: unwrap(parseIpv4(end.address)) }
  const { metadata, spec, status } = end.pod
  const address = unwrap(parseIpv4(status.podIP))
  return spec.hostNetwork
    ? { kind: 'node', name: spec.nodeName, address }
    : { kind: 'pod', key: objectKey(metadata), address }
}

function trafficOf({ protocol, port }: Packet): Traffic {
  return protocol === 'ICMP' ? { protocol: 'other' } : { protocol, port }
}

function nodeOf(end: End): string | undefined {
  return 'pod' in end ? end.pod.spec.nodeName : undefined
}

function comparable({ node, pods, peerSets }: PolicyTable): unknown {
  return { node, pods: byKey(pods), peerSets: byKey(peerSets).map(([, set]) => comparableSet(set)) }
}

function comparableSet(set: PeerSet): unknown {
  return set.kind === 'blocks' ? set : { ...set, members: [...iterateElements(set.members)].sort() }
}

function byKey<V>(map: ReadonlyMap<string, V>): readonly (readonly [string, V])[] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1))
}

/** What a reader of the changes alone would hold must be the table, object by object. */
function follow<V>(held: Map<string, V>, changes: readonly Change<V>[], table: ReadonlyMap<string, V>): void {
  for (const { key, before, after } of changes) {
    expect(held.get(key)).toBe(before)
    expect(after).not.toBe(before)
    if (after === undefined) held.delete(key)
    else held.set(key, after)
  }
  expect([...held.keys()].sort()).toEqual([...table.keys()].sort())
  for (const [key, value] of held) expect(table.get(key)).toBe(value)
}

test('after any history the compiled rules mean what the objects mean, as if compiled afresh', () => {
  let checks = 0
  const seen = new Map<string, number>()
  fc.assert(
    fc.property(anyHistory, (history) => {
      const state = new ClusterState()
      const nodes = nodeNames.map((name) => ({
        name,
        index: new PolicyIndex(name),
        pods: new Map<string, unknown>(),
        sets: new Map<string, unknown>(),
      }))
      for (const edits of history) {
        state.edit(edits)
        const tables = new Map<string, PolicyTable>()
        for (const { name, index, pods, sets } of nodes) {
          const change = index.apply(changesOf(edits))
          const table = index.table()
          follow(pods, change.pods, table.pods)
          follow(sets, change.peerSets, table.peerSets)
          const fresh = new PolicyIndex(name)
          fresh.apply(state.everything())
          expect(comparable(table)).toEqual(comparable(fresh.table()))
          tables.set(name, table)
        }
        const cluster = state.manifests()
        const ends: readonly End[] = [
          ...cluster.pods.map((pod) => ({ pod })),
          ...outsideAddresses.map((address) => ({ address })),
        ]
        for (const from of ends) {
          for (const to of ends) {
            const both = { from: tables.get(nodeOf(from) ?? ''), to: tables.get(nodeOf(to) ?? '') }
            for (const packet of packets) {
              const decision = decideFlow(both, partyOf(from), partyOf(to), trafficOf(packet))
              const expected = mayFlow(cluster, from, to, packet)
              checks++
              for (const { by, isAllowed } of [decision.egress, decision.ingress]) {
                const kind = `${by} ${isAllowed ? 'allows' : 'denies'}`
                seen.set(kind, (seen.get(kind) ?? 0) + 1)
              }
              if (decision.isAllowed !== expected)
                expect.fail(JSON.stringify({ from, to, packet, decision, expected, cluster }, undefined, 1))
            }
          }
        }
      }
    }),
    { numRuns: 100 },
  )
  expect(checks).toBeGreaterThan(50_000)
  // The generator must reach them all, or the comparison says little.
  for (const kind of [
    'rule allows',
    'rule denies',
    'isolation denies',
    'default allows',
    'own node allows',
    'itself allows',
  ])
    expect(seen.get(kind) ?? 0, kind).toBeGreaterThan(100)
})
