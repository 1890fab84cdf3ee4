// Policies between two pods of a node, as users write them, and what the agent makes of them.
import type { Ipv4 } from '../src/base/ip.ts'
import type { Table } from '../src/nftables/model.ts'
import { equals, verdict } from '../src/nftables/statement.ts'
import { changesOf, editsOf } from '../src/policy/cluster-state.fixture.ts'
import type { NetworkPolicyManifest, PeerManifest, PodManifest, PortManifest } from '../src/policy/manifests.fixture.ts'
import { PolicyIndex } from '../src/policy/policy-index.ts'
import { PolicyRuleset } from '../src/policy/policy-rules.ts'

/** A pod of the node, and the host's end of its interface. */
export interface PlacedPod {
  readonly address: Ipv4
  readonly interfaceName: string
}
export interface PodPair {
  readonly client: PlacedPod
  readonly server: PlacedPod
}

const ruleCount = 100
const nodeName = 'node'
const namespace = 'shop'
const others = Array.from({ length: ruleCount - 1 }, (_, index) => index)
/** What the clients of a measurement connect to (traffic.ts). */
const servedPorts: readonly PortManifest[] = [{ port: 5201 }, { port: 7000 }]
const clientPeer: PeerManifest = { podSelector: { matchLabels: { app: 'client' } } }
const serverPeer: PeerManifest = { podSelector: { matchLabels: { app: 'server' } } }

const ingressOf100 = [...others.map((index) => ingress(index, [peer(index)], [{ port: 8000 + index }])), letIn()]
const egressOf100 = [...others.map((index) => egress(index, [peer(index)], [{ port: 8000 + index }])), letOut()]
// Apart, or the compiler would join what is next to each other.
const hundredPorts = [...others.map((index) => ({ port: 8000 + 2 * index })), ...servedPorts]
const hundredBlocks = others.map((index) => ({ ipBlock: { cidr: `172.20.${index}.0/26` } }))

/** The policies of each case. In all but `nobody` and `denied` the last rule is the one that matches. */
const policiesOf = {
  nobody: [],
  one: [letIn()],
  hundred: ingressOf100,
  both: [...ingressOf100, ...egressOf100],
  rulesOfOne: [policy('p', { ingress: ingressOf100.flatMap(({ spec }) => spec.ingress ?? []) })],
  ports: [ingress(0, [clientPeer], hundredPorts)],
  denied: ingressOf100.slice(0, -1),
} as const satisfies Record<string, readonly NetworkPolicyManifest[]>

export type PolicyCase = keyof typeof policiesOf | 'blocks'

/** The agent's table where these policies are in force. */
export function policyTable(name: PolicyCase, pods: PodPair): Table {
  const clientBlock = { ipBlock: { cidr: `${pods.client.address}/32` } }
  const blocks = [ingress(0, [...hundredBlocks, clientBlock], servedPorts)]
  const networkPolicies = name === 'blocks' ? blocks : policiesOf[name]
  const change = new PolicyIndex(nodeName).apply(
    changesOf(
      editsOf({
        namespaces: [{ metadata: { name: namespace, labels: { 'kubernetes.io/metadata.name': namespace } } }],
        pods: [
          pod('client', pods.client.address),
          pod('server', pods.server.address),
          ...others.map((index) => pod(`peer-${index}`, `10.244.0.${index + 1}`, 'elsewhere')),
        ],
        networkPolicies,
      }),
    ),
  )
  const interfaces = (['client', 'server'] as const).map((which) => {
    const { interfaceName, address } = pods[which]
    const subject = { kind: 'pod', key: `${namespace}/${which}` } as const
    return { key: interfaceName, before: undefined, after: { name: interfaceName, addresses: [address], subject } }
  })
  const ruleset = new PolicyRuleset({ localPods: 'oci*' })
  ruleset.apply({ ...change, interfaces })
  return ruleset.table()
}

/** The same, but that every packet of a flow that was once let through is accepted first: what others do. */
export function acceptingEstablished(table: Table): Table {
  const accept = ['established', 'related'].map((state) => [equals('ct state', state), verdict('accept')])
  const chains = [...table.chains].map(([name, chain]) => {
    const isForward = chain.base?.hook === 'forward'
    return [name, isForward ? { ...chain, rules: [...accept, ...chain.rules] } : chain] as const
  })
  return { ...table, chains: new Map(chains) }
}

function peer(index: number): PeerManifest {
  return { podSelector: { matchLabels: { app: `peer-${index}` } } }
}

function letIn(): NetworkPolicyManifest {
  return ingress(ruleCount - 1, [clientPeer], servedPorts)
}

function letOut(): NetworkPolicyManifest {
  return egress(ruleCount - 1, [serverPeer], servedPorts)
}

/** Policies are asked in the order of their names. */
function ingress(index: number, from: readonly PeerManifest[], ports: readonly PortManifest[]): NetworkPolicyManifest {
  return policy(`in-${index + ruleCount}`, { ingress: [{ from, ports }] })
}

function egress(index: number, to: readonly PeerManifest[], ports: readonly PortManifest[]): NetworkPolicyManifest {
  return policy(`out-${index + ruleCount}`, { egress: [{ to, ports }] })
}

type Rules = Pick<NetworkPolicyManifest['spec'], 'ingress' | 'egress'>

function policy(name: string, rules: Rules): NetworkPolicyManifest {
  const isEgress = rules.egress !== undefined
  const podSelector = { matchLabels: { app: isEgress ? 'client' : 'server' } }
  const spec = { podSelector, policyTypes: [isEgress ? 'Egress' : 'Ingress'], ...rules } as const
  return { metadata: { name, namespace }, spec }
}

function pod(name: string, podIP: string, node = nodeName): PodManifest {
  return {
    metadata: { name, namespace, labels: { app: name } },
    spec: { nodeName: node, hostNetwork: false, containers: [{ ports: [] }] },
    status: { phase: 'Running', podIP },
  }
}
