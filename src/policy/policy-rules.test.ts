import { describe, expect, test } from 'vitest'
import { type Ipv4, parseIpv4 } from '../base/ip.ts'
import { unwrap } from '../base/result.ts'
import { iterateElements, noElements } from '../nftables/elements.ts'
import type { Table } from '../nftables/model.ts'
import { changesOf, editsOf } from './cluster-state.fixture.ts'
import type { NetworkPolicyManifest } from './manifests.fixture.ts'
import { PolicyIndex } from './policy-index.ts'
import { type PodInterface, PolicyRuleset } from './policy-rules.ts'
import type { Change } from './policy-table.ts'
import { passes, type SimulatedPacket } from './rule-interpreter.fixture.ts'
import { networkPolicy, smallWorld, worldAddress, worldPod } from './small-world.fixture.ts'

/** The pods x/a, x/b and y/a of n1, and an interface of no pod of Kubernetes. */
const interfaces: readonly PodInterface[] = [
  ...[['x', 'a'] as const, ['x', 'b'] as const, ['y', 'a'] as const].map(([namespace, name]) => ({
    name: `oci${namespace}${name}`,
    addresses: [ip(worldAddress(namespace, name))],
    subject: { kind: 'pod', key: `${namespace}/${name}` } as const,
  })),
  { name: 'ocibare', addresses: [ip('10.0.9.9')], subject: { kind: 'none' } },
  { name: 'ociclosed', addresses: [ip('10.0.9.8')], subject: { kind: 'closed' } },
]
const isolateX = networkPolicy({ podSelector: {}, policyTypes: ['Ingress', 'Egress'], egress: [{}] })

class Node {
  readonly index = new PolicyIndex('n1')
  readonly ruleset = new PolicyRuleset({ localPods: 'oci*' })

  constructor(...networkPolicies: readonly NetworkPolicyManifest[]) {
    const change = this.index.apply(changesOf(editsOf({ ...smallWorld, networkPolicies })))
    this.ruleset.apply({
      ...change,
      interfaces: interfaces.map((one) => ({ key: one.name, before: undefined, after: one })),
    })
  }

  put(cluster: Parameters<typeof editsOf>[0], changes: readonly Change<PodInterface>[] = []): Table {
    this.ruleset.apply({ ...this.index.apply(changesOf(editsOf(cluster))), interfaces: changes })
    return this.ruleset.table()
  }

  forwards(packet: SimulatedPacket): boolean {
    return passes(this.ruleset.table(), ['prerouting', 'forward'], packet)
  }
}

function ip(text: string): Ipv4 {
  return unwrap(parseIpv4(text))
}

function packet(
  iifname: string,
  saddr: string,
  oifname: string,
  daddr: string,
  more: SimulatedPacket = {},
): SimulatedPacket {
  const plain = { 'meta l4proto': 'tcp', 'th dport': 80, 'ct direction': 'original', 'ct state': 'new' }
  return { iifname, 'ip saddr': saddr, oifname, 'ip daddr': daddr, ...plain, ...more }
}

const fromOutside = packet('eth0', '203.0.113.7', 'ocixa', '10.0.1.1')
const reply = { 'ct direction': 'reply', 'ct state': 'established' }

describe('a packet', () => {
  const rows: readonly (readonly [string, SimulatedPacket, boolean])[] = [
    ['that policy forbids is dropped', fromOutside, false],
    ['of an established flow that policy forbids now is dropped', { ...fromOutside, 'ct state': 'established' }, false],
    ['about a flow (ICMP error) is passed', { ...fromOutside, 'ct state': 'related', 'meta l4proto': 'icmp' }, true],
    ['that a helper of conntrack expected is judged as any other', { ...fromOutside, 'ct state': 'related' }, false],
    ['with the address of its pod is passed', packet('ociya', '10.0.2.1', 'eth0', '203.0.113.7'), true],
    ['with another pod’s address is dropped', packet('ociya', '10.0.1.1', 'eth0', '203.0.113.7'), false],
    ['with a foreign address, in answer too', packet('ociya', '8.8.8.8', 'eth0', '203.0.113.7', reply), false],
    ['from an unknown interface of ours is dropped', packet('ocinew', '10.0.1.9', 'eth0', '203.0.113.7'), false],
    ['to an unknown interface of ours is dropped', packet('eth0', '203.0.113.7', 'ocinew', '10.0.1.9'), false],
    ['to a pod without policy is passed', packet('eth0', '203.0.113.7', 'ociya', '10.0.2.1'), true],
    [
      'to an interface nobody knows the pod of is dropped',
      packet('eth0', '203.0.113.7', 'ociclosed', '10.0.9.8'),
      false,
    ],
    ['from such an interface is dropped', packet('ociclosed', '10.0.9.8', 'eth0', '203.0.113.7'), false],
    ['from an interface that is not ours is none of our business', packet('veth1', '1.1.1.1', 'eth0', '8.8.8.8'), true],
    ['of no pod of Kubernetes is passed', packet('ocibare', '10.0.9.9', 'eth0', '203.0.113.7'), true],
    ['that comes back to its pod through a Service is passed', packet('ocixa', '10.0.1.1', 'ocixa', '10.0.1.1'), true],
    ['between pods of an isolated namespace is dropped', packet('ocixb', '10.0.1.2', 'ocixa', '10.0.1.1'), false],
    [
      'accepted at its source only is dropped at its destination',
      packet('ocixb', '10.0.1.2', 'ocixa', '10.0.1.1'),
      false,
    ],
  ]
  test.each(rows)('%s', (_name, one, isPassed) => {
    expect(new Node(isolateX).forwards(one)).toBe(isPassed)
  })
})

describe.each(['tcp', 'udp', 'sctp', 'icmp', 'dccp'])('of %s, a packet', (protocol) => {
  const ports = protocol === 'icmp' || protocol === 'dccp' ? {} : { 'th sport': 53, 'th dport': 40_000 }
  const reply = { 'ct direction': 'reply', 'ct state': 'established', 'meta l4proto': protocol, ...ports }
  const rows: readonly (readonly [string, SimulatedPacket, boolean])[] = [
    ['that answers what policy allows is passed', packet('eth0', '203.0.113.7', 'ocixa', '10.0.1.1', reply), true],
    [
      'that answers what policy forbids now is dropped',
      packet('ocixa', '10.0.1.1', 'eth0', '203.0.113.7', reply),
      false,
    ],
    ['that answers a pod without policy is passed', packet('ociya', '10.0.2.1', 'eth0', '203.0.113.7', reply), true],
    ['to an unknown interface is dropped', packet('eth0', '203.0.113.7', 'ocinew', '10.0.1.9', reply), false],
    ['from a closed interface is dropped', packet('ociclosed', '10.0.9.8', 'eth0', '203.0.113.7', reply), false],
    ['to itself through a Service is passed', packet('ocixa', '10.0.1.1', 'ocixa', '10.0.1.1', reply), true],
  ]
  test.each(rows)('%s', (_name, one, isPassed) => {
    expect(new Node(isolateX).forwards(one)).toBe(isPassed)
  })
})

test.each([
  ['its number on the destination is passed', 80, true],
  ['another number is dropped', 81, false],
])('of egress to a named port, a packet to %s', (_name, port, isPassed) => {
  const node = new Node(
    networkPolicy({ podSelector: {}, policyTypes: ['Egress'], egress: [{ ports: [{ port: 'http' }] }] }),
  )
  expect(node.forwards(packet('ocixa', '10.0.1.1', 'ociya', '10.0.2.1', { 'th dport': port }))).toBe(isPassed)
})

test('an interface whose pod is not known yet lets nothing through, until it is', () => {
  const node = new Node()
  const one: PodInterface = { name: 'ocixd', addresses: [ip('10.0.1.9')], subject: { kind: 'pod', key: 'x/d' } }
  const change = [{ key: 'ocixd', before: undefined, after: one }]
  node.put({}, change)
  const sent = packet('ocixd', '10.0.1.9', 'eth0', '203.0.113.7')
  expect(node.forwards(sent)).toBe(false)
  node.put({ pods: [worldPod('x', 'd')] })
  expect(node.forwards(sent)).toBe(true)
})

describe('chains and sets', () => {
  test('are shared by pods with the same policies', () => {
    const { chains } = new Node(isolateX).ruleset.table()
    const made = [...chains.keys()].filter((name) => /^(?:egress|ingress)-(?:replies-)?(?:pod|policy)-/.test(name))
    expect(made.map((name) => name.replace(/-[0-9a-f]+$/, '')).sort()).toEqual([
      'egress-pod',
      'egress-policy',
      'egress-replies-pod',
      'egress-replies-policy',
      'ingress-pod',
      'ingress-replies-pod',
    ])
  })

  test('of what a change does not touch are the same objects', () => {
    const other = networkPolicy(
      { podSelector: {}, ingress: [{ from: [{ podSelector: {} }] }] },
      { name: 'q', namespace: 'y' },
    )
    const node = new Node(isolateX, other)
    const before = node.ruleset.table()
    const after = node.put({
      networkPolicies: [networkPolicy({ ...isolateX.spec, egress: [{ ports: [{ port: 53, protocol: 'UDP' }] }] })],
    })
    const changed = [...after.chains].filter(([name, chain]) => before.chains.get(name) !== chain).map(([name]) => name)
    expect(changed.map((name) => name.replace(/-[0-9a-f]+$/, ''))).toEqual(['egress-policy', 'egress-replies-policy'])
    expect([...after.sets].filter(([name, set]) => before.sets.get(name) !== set)).toEqual([])
  })

  test('of policies and pods that are gone are gone', () => {
    const node = new Node()
    const before = node.ruleset.table()
    const ports = [{ port: 80 }, { port: 90, endPort: 99 }]
    const policy = networkPolicy({ ...isolateX.spec, ingress: [{ from: [{ namespaceSelector: {} }], ports }] })
    const during = node.put({ networkPolicies: [policy] })
    expect(during.chains.size - before.chains.size).toBe(8)
    expect(during.sets.size - before.sets.size).toBe(2)
    const other = {
      ...policy,
      spec: { ...policy.spec, ingress: [{ ports: ports.map((one) => ({ ...one, protocol: 'UDP' as const })) }] },
    }
    expect(node.put({ networkPolicies: [other] }).sets.size - before.sets.size).toBe(1)
    node.ruleset.apply(node.index.apply({ networkPolicies: new Map([['x/p', undefined]]) }))
    const after = node.ruleset.table()
    expect([...after.chains.keys()]).toEqual([...before.chains.keys()])
    expect([...after.sets.keys()]).toEqual([...before.sets.keys()])
    const targets = [...iterateElements(after.sets.get('to-pod')?.elements ?? noElements)].map(([, target]) => target)
    expect(targets.sort()).toEqual(['accept', 'accept', 'accept', 'accept', 'goto denied-ingress'])
  })
})
