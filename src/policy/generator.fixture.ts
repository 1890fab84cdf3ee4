import fc from 'fast-check'
import type {
  ClusterNetworkPolicyManifest,
  ClusterPeerManifest,
  ClusterRuleManifest,
  ContainerPortManifest,
  ExpressionManifest,
  NamespaceManifest,
  NetworkPolicyManifest,
  PeerManifest,
  PodManifest,
  PortManifest,
  ProtocolManifest,
  SelectorManifest,
  SubjectManifest,
} from './manifests.fixture.ts'
import type { Packet } from './naive-model.fixture.ts'

// Few names, labels, addresses and ports, so that what is generated meets.

/** An object that is written, or with `isGone` deleted. */
export type Edit =
  | { readonly kind: 'namespace'; readonly isGone: boolean; readonly object: NamespaceManifest }
  | { readonly kind: 'pod'; readonly isGone: boolean; readonly object: PodManifest }
  | { readonly kind: 'networkPolicy'; readonly isGone: boolean; readonly object: NetworkPolicyManifest }
  | { readonly kind: 'clusterNetworkPolicy'; readonly isGone: boolean; readonly object: ClusterNetworkPolicyManifest }

export const nodeNames = ['n1', 'n2'] as const
export const nodeAddresses: Readonly<Record<string, string>> = { n1: '192.168.0.1', n2: '192.168.0.2' }
export const outsideAddresses = ['203.0.113.7', '10.0.0.6'] as const
const ports = [80, 81, 8080] as const

/** What is asked of every two ends. */
export const packets: readonly Packet[] = [
  { protocol: 'TCP', port: 80 },
  { protocol: 'TCP', port: 81 },
  { protocol: 'TCP', port: 8080 },
  { protocol: 'UDP', port: 80 },
  { protocol: 'UDP', port: 81 },
  { protocol: 'SCTP', port: 80 },
  { protocol: 'ICMP', port: 0 },
]

const namespaceName = fc.constantFrom('x', 'y')
const protocol = fc.constantFrom('TCP' as const, 'UDP' as const, 'SCTP' as const)
const named = fc.constantFrom('http', 'dns')
const few = <T>(one: fc.Arbitrary<T>, maxLength = 2, minLength = 0): fc.Arbitrary<T[]> =>
  fc.array(one, { minLength, maxLength })

function labels(keys: Readonly<Record<string, readonly string[]>>): fc.Arbitrary<Readonly<Record<string, string>>> {
  const parts = Object.fromEntries(
    Object.entries(keys).map(([key, values]) => [
      key,
      fc.option(fc.constantFrom(...values), { nil: undefined, freq: 2 }),
    ]),
  )
  return fc
    .record(parts)
    .map((all) => Object.fromEntries(Object.entries(all).flatMap(([key, value]) => (value ? [[key, value]] : []))))
}

const podLabelValues = { color: ['red', 'blue'], size: ['s', 'm'], constructor: ['c'] }
const namespaceLabelValues = { team: ['red', 'blue'], env: ['prod', 'test'] }

function selector(values: Readonly<Record<string, readonly string[]>>): fc.Arbitrary<SelectorManifest> {
  const all = [...new Set(Object.values(values).flat())]
  const key = fc.constantFrom(...Object.keys(values))
  const expression: fc.Arbitrary<ExpressionManifest> = fc.oneof(
    fc.record({
      key,
      operator: fc.constantFrom('In' as const, 'NotIn' as const),
      values: few(fc.constantFrom(...all), 2, 1),
    }),
    fc.record({ key, operator: fc.constantFrom('Exists' as const, 'DoesNotExist' as const) }),
  )
  return fc.oneof(
    { weight: 1, arbitrary: fc.constant({}) },
    { weight: 3, arbitrary: labels(values).map((matchLabels) => ({ matchLabels })) },
    { weight: 3, arbitrary: fc.record({ matchExpressions: few(expression, 2, 1) }) },
    { weight: 1, arbitrary: fc.record({ matchLabels: labels(values), matchExpressions: few(expression) }) },
  )
}
const podSelector = selector(podLabelValues)
const namespaceSelector = selector(namespaceLabelValues)

const namespace: fc.Arbitrary<NamespaceManifest> = fc
  .record({ name: namespaceName, labels: labels(namespaceLabelValues) })
  .map((metadata) => ({ metadata }))

// A name stands for one port of a protocol on a pod.
const containerPorts: fc.Arbitrary<readonly ContainerPortManifest[]> = fc.uniqueArray(
  fc.record({ name: named, protocol, containerPort: fc.constantFrom(...ports) }),
  { maxLength: 2, selector: ({ name, protocol: of }) => `${name}/${of}` },
)

/** Addresses are handed on at random, also before the pod that had one is gone. */
const pod: fc.Arbitrary<PodManifest> = fc
  .record({
    metadata: fc.record({
      name: fc.constantFrom('a', 'b', 'c'),
      namespace: namespaceName,
      labels: labels(podLabelValues),
    }),
    nodeName: fc.constantFrom(...nodeNames),
    isOnHost: fc.integer({ min: 0, max: 6 }).map((dice) => dice === 0),
    ports: containerPorts,
    phase: fc.constantFrom('Running', 'Running', 'Running', 'Pending', 'Succeeded', 'Failed'),
    podIP: fc.integer({ min: 0, max: 7 }).map((last) => `10.0.0.${last}`),
  })
  .map(({ metadata, nodeName, isOnHost, ports: own, phase, podIP }) => ({
    metadata,
    spec: { nodeName, hostNetwork: isOnHost, containers: [{ ports: own }] },
    status: { phase, podIP: isOnHost ? (nodeAddresses[nodeName] ?? '') : podIP },
  }))

const blocks = {
  '0.0.0.0/0': ['10.0.0.0/29', '10.0.0.0/30', '203.0.113.0/24', '192.168.0.1/32'],
  '10.0.0.0/29': ['10.0.0.0/30', '10.0.0.6/31', '10.0.0.1/32'],
  '10.0.0.4/30': ['10.0.0.5/32', '10.0.0.6/31'],
  '203.0.113.0/24': ['203.0.113.7/32'],
  '192.168.0.0/24': ['192.168.0.2/32'],
} as const
const ipBlock = fc
  .constantFrom(...Object.entries(blocks))
  .chain(([cidr, inner]) => fc.record({ cidr: fc.constant(cidr), except: fc.subarray([...inner]) }))

const peer: fc.Arbitrary<PeerManifest> = fc.oneof(
  fc.record({ podSelector }),
  fc.record({ namespaceSelector }),
  fc.record({ podSelector, namespaceSelector }),
  fc.record({ ipBlock }),
)
const port: fc.Arbitrary<PortManifest> = fc.oneof(
  fc.record({ protocol }),
  fc.record({ port: fc.constantFrom(...ports) }),
  fc.record({ protocol, port: fc.constantFrom(...ports) }),
  fc.record({ protocol, port: fc.constantFrom(79, 80, 81), endPort: fc.constantFrom(81, 8080) }),
  fc.record({ protocol, port: named }),
  fc.record({ port: named }),
)
// Mostly one peer and one port, or nearly everything would be allowed.
const ingressRule = fc.oneof(
  fc.record({ from: few(peer, 2, 1), ports: few(port) }),
  fc.record({ ports: few(port) }),
  fc.record({ from: few(peer) }),
)
const egressRule = fc.oneof(
  fc.record({ to: few(peer, 2, 1), ports: few(port) }),
  fc.record({ ports: few(port) }),
  fc.record({ to: few(peer) }),
)

const networkPolicy: fc.Arbitrary<NetworkPolicyManifest> = fc.record({
  metadata: fc.record({ name: fc.constantFrom('p1', 'p2'), namespace: namespaceName }),
  spec: fc.record(
    {
      podSelector,
      policyTypes: fc.subarray(['Ingress' as const, 'Egress' as const], { minLength: 1 }),
      ingress: few(ingressRule),
      egress: few(egressRule),
    },
    { requiredKeys: ['podSelector'] },
  ),
})

const subject: fc.Arbitrary<SubjectManifest> = fc.oneof(
  fc.record({ namespaces: namespaceSelector }),
  fc.record({ pods: fc.record({ namespaceSelector, podSelector }) }),
)
const ingressPeer: fc.Arbitrary<ClusterPeerManifest> = subject
const egressPeer: fc.Arbitrary<ClusterPeerManifest> = fc.oneof(
  subject,
  fc.record({ networks: few(fc.constantFrom(...Object.keys(blocks)), 2, 1) }),
)
const destinationPort = fc.oneof(
  fc.record({ number: fc.constantFrom(...ports) }),
  fc.constant({ range: { start: 80, end: 81 } }),
)
const clusterProtocol: fc.Arbitrary<ProtocolManifest> = fc.oneof(
  fc.record({ tcp: fc.record({ destinationPort }) }),
  fc.record({ udp: fc.record({ destinationPort }) }),
  fc.record({ sctp: fc.record({ destinationPort }) }),
  fc.record({ destinationNamedPort: named }),
)
const protocols = few(clusterProtocol, 2, 1)
const action = fc.constantFrom('Accept' as const, 'Deny' as const, 'Pass' as const)
const clusterIngress: fc.Arbitrary<ClusterRuleManifest> = fc.record(
  { action, from: few(ingressPeer, 2, 1), protocols },
  { requiredKeys: ['action', 'from'] },
)
const clusterEgress: fc.Arbitrary<ClusterRuleManifest> = fc.record(
  { action, to: few(egressPeer, 2, 1), protocols },
  { requiredKeys: ['action', 'to'] },
)

// No two have the same priority: the API leaves open who wins then.
const clusterNetworkPolicy: fc.Arbitrary<ClusterNetworkPolicyManifest> = fc
  .record({
    number: fc.integer({ min: 1, max: 3 }),
    tens: fc.integer({ min: 0, max: 3 }),
    spec: fc.record({
      tier: fc.constantFrom('Admin' as const, 'Baseline' as const),
      subject,
      ingress: few(clusterIngress),
      egress: few(clusterEgress),
    }),
  })
  .map(({ number, tens, spec }) => ({
    metadata: { name: `c${number}` },
    spec: { ...spec, priority: tens * 10 + number },
  }))

const isGone = fc.integer({ min: 0, max: 4 }).map((dice) => dice === 0)
export const anyEdit: fc.Arbitrary<Edit> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('namespace' as const), isGone, object: namespace }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('pod' as const), isGone, object: pod }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('networkPolicy' as const), isGone, object: networkPolicy }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('clusterNetworkPolicy' as const), isGone, object: clusterNetworkPolicy }),
  },
)

/** The first step fills the cluster; the others change a little at a time. */
export const anyHistory: fc.Arbitrary<readonly (readonly Edit[])[]> = fc
  .tuple(fc.array(anyEdit, { minLength: 12, maxLength: 24 }), fc.array(few(anyEdit, 3, 1), { maxLength: 8 }))
  .map(([first, rest]) => [first.map((edit) => ({ ...edit, isGone: false })), ...rest])
