import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseIpv4 } from '../base/ip.ts'
import { unwrap } from '../base/result.ts'
import { objectKey } from '../kube/object.ts'
import { diffTables } from '../nftables/diff.ts'
import { iterateElements } from '../nftables/elements.ts'
import type { Table } from '../nftables/model.ts'
import { changesOf, ClusterState } from './cluster-state.fixture.ts'
import { anyHistory, nodeAddresses, nodeNames, outsideAddresses, packets } from './generator.fixture.ts'
import type { ClusterManifests, PodManifest } from './manifests.fixture.ts'
import { type End, mayFlow, type Packet } from './naive-model.fixture.ts'
import { PolicyIndex } from './policy-index.ts'
import { type PodInterface, PolicyRuleset } from './policy-rules.ts'
import type { Change } from './policy-table.ts'
import { type Memory, passes, type SimulatedPacket } from './rule-interpreter.fixture.ts'

/** A table, and what flows taught the kernel that has it. */
interface Rules {
  readonly table: Table
  readonly memory: Memory
}

class Node {
  readonly name: string
  readonly memory: Memory = new Map()
  readonly index: PolicyIndex
  readonly ruleset = new PolicyRuleset({ localPods: 'oci*' })
  #interfaces = new Map<string, PodInterface>()

  constructor(name: string) {
    this.name = name
    this.index = new PolicyIndex(name)
  }

  follow(change: ReturnType<typeof changesOf>, pods: readonly PodManifest[]): Table {
    const after = new Map(pods.filter((pod) => this.#isOwn(pod)).map((pod) => [ifnameOf(pod), interfaceOf(pod)]))
    const names = new Set([...this.#interfaces.keys(), ...after.keys()])
    const interfaces = [...names].map((key): Change<PodInterface> => ({
      key,
      before: this.#interfaces.get(key),
      after: after.get(key),
    }))
    this.#interfaces = after
    const before = this.ruleset.table()
    this.ruleset.apply({ ...this.index.apply(change), interfaces })
    const table = this.ruleset.table()
    // As the writer does it.
    if (diffTables(before, table).kind !== 'none') this.memory.clear()
    return table
  }

  #isOwn({ spec }: PodManifest): boolean {
    return spec.nodeName === this.name && !spec.hostNetwork
  }
}

function ifnameOf({ metadata }: PodManifest): string {
  return `oci-${metadata.namespace}-${metadata.name}`
}

function interfaceOf(pod: PodManifest): PodInterface {
  return {
    name: ifnameOf(pod),
    addresses: [unwrap(parseIpv4(pod.status.podIP))],
    subject: { kind: 'pod', key: objectKey(pod.metadata) },
  }
}

/** Through the node of the source, then through that of the destination; once where they are the same. */
function passesNodes(
  rules: ReadonlyMap<string, Rules>,
  from: End,
  to: End,
  packet: Packet,
  way: SimulatedPacket,
): boolean {
  return [...rules].every(([node, { table, memory }]) => {
    const source = podOn(node, from)
    const destination = podOn(node, to)
    const isOnTheWay = source !== undefined || destination !== undefined
    // What the node itself sends, no hook of the table sees.
    const isOfTheNode = source === undefined && 'pod' in from && from.pod.spec.nodeName === node
    if (!isOnTheWay || isOfTheNode) return true
    const simulated: SimulatedPacket = {
      iifname: source === undefined ? 'eth0' : ifnameOf(source),
      oifname: destination === undefined ? 'eth0' : ifnameOf(destination),
      'ip saddr': addressOf(from),
      'ip daddr': addressOf(to),
      'meta l4proto': packet.protocol.toLowerCase(),
      ...way,
    }
    const isToTheNode = destination === undefined && addressOf(to) === nodeAddresses[node]
    return passes(table, ['prerouting', isToTheNode ? 'input' : 'forward'], simulated, memory)
  })
}

function opening({ protocol, port }: Packet): SimulatedPacket {
  return {
    ...(protocol !== 'ICMP' && { 'th sport': 40_000, 'th dport': port }),
    'ct direction': 'original',
    'ct state': 'new',
  }
}

/** Of a flow that was answered: remembered when it is allowed. */
function goingOn(packet: Packet): SimulatedPacket {
  return { ...opening(packet), 'ct state': 'established' }
}

function answering({ protocol, port }: Packet): SimulatedPacket {
  return {
    ...(protocol !== 'ICMP' && { 'th sport': port, 'th dport': 40_000 }),
    'ct direction': 'reply',
    'ct state': 'established',
  }
}

/** Whether an answer of `to` comes back to `from`. A node's own answers to its own pods no hook of the table sees. */
function mayAnswer(cluster: ClusterManifests, from: End, to: End, packet: Packet): boolean {
  const isOfOwnNode = 'pod' in from && addressOf(to) === nodeAddresses[from.pod.spec.nodeName]
  return isOfOwnNode || mayFlow(cluster, from, to, packet)
}

function isBetweenPodAndOutside(from: End, to: End): boolean {
  const isPod = (end: End): boolean => nodeNames.some((node) => podOn(node, end) !== undefined)
  return (isPod(from) && 'address' in to) || ('address' in from && isPod(to))
}

function podOn(node: string, end: End): PodManifest | undefined {
  return 'pod' in end && !end.pod.spec.hostNetwork && end.pod.spec.nodeName === node ? end.pod : undefined
}

function addressOf(end: End): string {
  return 'pod' in end ? end.pod.status.podIP : end.address
}

function comparable({ sets, chains }: Table): unknown {
  const byName = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number => (a < b ? -1 : 1)
  const elements = [...sets].map(
    ([name, set]) => [name, { ...set, elements: [...iterateElements(set.elements)].sort(byName) }] as const,
  )
  return { sets: elements.sort(byName), chains: [...chains].sort(byName) }
}

test('after any history the rules of the kernel’s table mean what the objects mean, as if made afresh', () => {
  let checks = 0
  let unknown = 0
  let remembered = 0
  const seen = { true: 0, false: 0 }
  fc.assert(
    fc.property(anyHistory, (history) => {
      const state = new ClusterState()
      const nodes = nodeNames.map((name) => new Node(name))
      for (const edits of history) {
        state.edit(edits)
        const cluster = state.manifests()
        const rules = new Map<string, Rules>()
        for (const node of nodes) {
          const table = node.follow(changesOf(edits), cluster.pods)
          const fresh = new Node(node.name)
          expect(comparable(table)).toEqual(comparable(fresh.follow(state.everything(), cluster.pods)))
          rules.set(node.name, { table, memory: node.memory })
        }
        const blind = new Map(
          nodeNames.map((name) => [name, { table: new Node(name).follow(state.everything(), []), memory: new Map() }]),
        )
        const ends: readonly End[] = [
          ...cluster.pods.map((pod) => ({ pod })),
          ...outsideAddresses.map((address) => ({ address })),
        ]
        for (const from of ends) {
          for (const to of ends) {
            // No packet finds its way between them.
            if (addressOf(from) === addressOf(to)) continue
            for (const packet of packets) {
              const expected = mayFlow(cluster, from, to, packet)
              checks++
              seen[`${expected}`]++
              // Of a flow that runs since the state before, or would; then of a new one.
              for (const way of [goingOn(packet), opening(packet)])
                if (passesNodes(rules, from, to, packet, way) !== expected)
                  expect.fail(JSON.stringify({ way, from, to, packet, expected, cluster }, undefined, 1))
              const comesBack = mayAnswer(cluster, from, to, packet)
              if (passesNodes(rules, to, from, packet, answering(packet)) !== comesBack)
                expect.fail(JSON.stringify({ from, to, packet, comesBack, cluster }, undefined, 1))
              // Whatever the policies: an interface that the table does not know lets nothing through.
              if (!isBetweenPodAndOutside(from, to)) continue
              unknown++
              if (passesNodes(blind, from, to, packet, opening(packet)))
                expect.fail(JSON.stringify({ unknown: true, from, to, packet }, undefined, 1))
              if (passesNodes(blind, to, from, packet, answering(packet)))
                expect.fail(JSON.stringify({ unknown: true, answering: true, from, to, packet }, undefined, 1))
            }
          }
        }
        for (const { memory } of rules.values()) for (const flows of memory.values()) remembered += flows.size
      }
    }),
    { numRuns: 50 },
  )
  expect(remembered).toBeGreaterThan(1000)
  expect(checks).toBeGreaterThan(20_000)
  expect(unknown).toBeGreaterThan(1000)
  expect(Math.min(seen.true, seen.false)).toBeGreaterThan(1000)
})
