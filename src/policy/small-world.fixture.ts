import { parseIpv4 } from '../base/ip.ts'
import { unwrap } from '../base/result.ts'
import { changesOf, editsOf } from './cluster-state.fixture.ts'
import { decideFlow, type FlowDecision, type Party, type Traffic } from './decide-flow.ts'
import type {
  ClusterManifests,
  ClusterNetworkPolicyManifest,
  NamespaceManifest,
  NetworkPolicyManifest,
  PodManifest,
} from './manifests.fixture.ts'
import type { Edit } from './generator.fixture.ts'
import { PolicyIndex, type PolicyTableChange } from './policy-index.ts'

/** Three namespaces of three pods each, labelled by their names. Those named c are on n2, the others on n1. */
export const namespaceNames = ['x', 'y', 'z'] as const
export const podNames = ['a', 'b', 'c'] as const
export const worldNodes = { n1: '192.168.0.1', n2: '192.168.0.2' } as const

/** In all of them http is port 80/TCP; in those named b also 81/TCP. Their dns is 80/UDP. */
export const smallWorld: Pick<ClusterManifests, 'namespaces' | 'pods'> = {
  namespaces: namespaceNames.map((name): NamespaceManifest => ({ metadata: { name, labels: { ns: name } } })),
  pods: namespaceNames.flatMap((namespace) => podNames.map((name) => worldPod(namespace, name))),
}

export function worldPod(namespace: string, name: string, labels = { pod: name }): PodManifest {
  const containerPort = name === 'b' ? 81 : 80
  const ports = [
    { name: 'http', protocol: 'TCP', containerPort },
    { name: 'dns', protocol: 'UDP', containerPort: 80 },
  ] as const
  return {
    metadata: { name, namespace, labels },
    spec: { nodeName: name === 'c' ? 'n2' : 'n1', hostNetwork: false, containers: [{ ports }] },
    status: { phase: 'Running', podIP: worldAddress(namespace, name) },
  }
}

/** `10.0.<namespace>.<pod>`, both from 1. */
export function worldAddress(namespace: string, name: string): string {
  const place = (names: readonly string[], one: string): number => names.indexOf(one) + 1
  return `10.0.${place(namespaceNames, namespace)}.${place(podNames, name)}`
}

export interface WorldPolicies {
  /** Beside those of the small world, or in their place. */
  readonly pods?: readonly PodManifest[]
  readonly networkPolicies?: readonly NetworkPolicyManifest[]
  readonly clusterNetworkPolicies?: readonly ClusterNetworkPolicyManifest[]
}

/** Flows are `FROM TO TRAFFIC`, in the words of World.decide; without traffic, 80/TCP. */
export type SemanticsRow = readonly [
  sentence: string,
  policies: WorldPolicies,
  flows: Readonly<Record<string, boolean>>,
]

/** The indices of both nodes. */
export class World {
  readonly indices = { n1: new PolicyIndex('n1'), n2: new PolicyIndex('n2') }

  constructor(policies: WorldPolicies = {}) {
    this.put(smallWorld)
    this.put(policies)
  }

  put(cluster: Partial<ClusterManifests>): void {
    this.edit(editsOf(cluster))
  }

  /** What changes on each node. */
  edit(edits: readonly Edit[]): Readonly<Record<keyof typeof worldNodes, PolicyTableChange>> {
    const changes = changesOf(edits)
    return { n1: this.indices.n1.apply(changes), n2: this.indices.n2.apply(changes) }
  }

  /** `x/a` is a pod, `n1` a node, `203.0.113.7` an address outside; traffic is `80/TCP` or `ICMP`. */
  decide(from: string, to: string, traffic: string): FlowDecision {
    const tableOf = (end: string): ReturnType<PolicyIndex['table']> | undefined =>
      end.includes('/') ? this.indices[end.endsWith('/c') ? 'n2' : 'n1'].table() : undefined
    return decideFlow({ from: tableOf(from), to: tableOf(to) }, partyOf(from), partyOf(to), trafficOf(traffic))
  }
}

export function networkPolicy(
  spec: NetworkPolicyManifest['spec'],
  metadata = { name: 'p', namespace: 'x' },
): NetworkPolicyManifest {
  return { metadata, spec }
}

export function clusterPolicy(
  spec: Partial<ClusterNetworkPolicyManifest['spec']>,
  name = 'c',
): ClusterNetworkPolicyManifest {
  return { metadata: { name }, spec: { tier: 'Admin', priority: 10, subject: { namespaces: {} }, ...spec } }
}

function partyOf(end: string): Party {
  if (end === 'n1' || end === 'n2') return { kind: 'node', name: end, address: unwrap(parseIpv4(worldNodes[end])) }
  const [namespace = '', name] = end.split('/')
  if (name === undefined) return { kind: 'outside', address: unwrap(parseIpv4(end)) }
  return { kind: 'pod', key: end, address: unwrap(parseIpv4(worldAddress(namespace, name))) }
}

function trafficOf(text: string): Traffic {
  const [port, protocol] = text.split('/')
  if (protocol === 'TCP' || protocol === 'UDP' || protocol === 'SCTP') return { protocol, port: Number(port) }
  return { protocol: 'other' }
}
