// Nodes and their pods, and Services before policies: real connections through the service rules of the first node.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { NetworkPolicyManifest, PeerManifest } from '../../src/policy/manifests.fixture.ts'
import { networkPolicy, worldNodes, type WorldPolicies } from '../../src/policy/small-world.fixture.ts'
import { slice, web } from '../../src/proxy/one-service.fixture.ts'
import { NamespaceRules } from '../services/namespace-rules.ts'
import { PolicyNodes } from './policy-nodes.ts'
import { addressOf, nodeOf } from './world-links.ts'

let nodes: PolicyNodes
let services: NamespaceRules
beforeAll(async () => {
  nodes = await PolicyNodes.start()
  services = new NamespaceRules(nodes.links.nodes.n1.fd)
})
afterAll(async () => {
  await services[Symbol.asyncDispose]()
  await nodes[Symbol.asyncDispose]()
})

const outside = '203.0.113.7'
const virtual = '10.96.0.1'
const nodePort = 30_001
const named = (name: string): { podSelector: { matchLabels: { pod: string } } } => ({
  podSelector: { matchLabels: { pod: name } },
})
const everywhere = (name: string): PeerManifest => ({ ...named(name), namespaceSelector: {} })
const block = (cidr: string): PeerManifest => ({ ipBlock: { cidr } })
const isolated: WorldPolicies = {
  networkPolicies: ['x', 'y', 'z'].map((namespace) =>
    networkPolicy({ podSelector: {}, policyTypes: ['Ingress', 'Egress'] }, { name: 'p', namespace }),
  ),
}
const ingress = (from: PeerManifest): WorldPolicies => ({
  networkPolicies: [networkPolicy({ podSelector: {}, ingress: [{ from: [from] }] })],
})
const egress = (
  to: PeerManifest,
  ports: NonNullable<NonNullable<NetworkPolicyManifest['spec']['egress']>[number]['ports']> = [],
): WorldPolicies => ({
  networkPolicies: [
    networkPolicy(
      { podSelector: {}, policyTypes: ['Egress'], egress: [{ to: [to], ports }] },
      { name: 'p', namespace: 'y' },
    ),
  ],
})

describe('a node', () => {
  const rows: readonly (readonly [string, WorldPolicies, from: string, to: string, string])[] = [
    ['reaches its isolated pods', isolated, 'n1', 'x/a', 'x/a:80 to 192.168.0.1'],
    ['does not reach those of another node', isolated, 'n1', 'x/c', ''],
    [
      'reaches them where a block has its address',
      ingress(block('192.168.0.1/32')),
      'n1',
      'x/c',
      'x/c:80 to 192.168.0.1',
    ],
    ['is not reached by its isolated pods', isolated, 'x/a', 'n1', ''],
    [
      'is reached by them where a block has its address',
      egress(block('192.168.0.1/32')),
      'y/a',
      'n1',
      'n1:80 to 10.0.2.1',
    ],
    ['is not reached by a pod of another node that may not send', isolated, 'x/c', 'n1', ''],
    ['is subject to nothing', isolated, 'n1', 'n2', 'n2:80 to 192.168.0.1'],
  ]
  test.each(rows)('%s', async (_sentence, policies, from, to, heard) => {
    await nodes.become(policies)
    const protocols = ['TCP', 'UDP'] as const
    expect(nodes.ask(protocols.map((protocol) => ({ from, protocol, address: addressOf(to), port: 80 })))).toEqual([
      heard,
      heard,
    ])
  })
})

/** A Service of one endpoint, as the first node has it. */
async function serve(pod: string, targetPort: number): Promise<void> {
  const protocols = ['TCP', 'UDP'] as const
  await services.become({
    services: [
      web({
        type: 'NodePort',
        ports: protocols.map((protocol) => ({ name: protocol.toLowerCase(), protocol, port: 80, nodePort })),
      }),
    ],
    slices: [
      slice([{ addresses: [addressOf(pod)], nodeName: nodeOf(pod) }], {
        ports: protocols.map((protocol) => ({ name: protocol.toLowerCase(), protocol, port: targetPort })),
      }),
    ],
    node: { name: 'n1', zone: 'z1', address: worldNodes.n1 },
  })
}

describe('a Service', () => {
  type Row = readonly [string, WorldPolicies, from: string, backend: string, targetPort: number, heard: string]
  const clients: readonly Row[] = [
    ['is open without policies', {}, 'y/a', 'x/b', 81, 'x/b:81 to 10.0.2.1'],
    ['is not allowed by its virtual address', egress(block('10.96.0.0/16')), 'y/a', 'x/b', 80, ''],
    ['is allowed by the pod behind it', egress(everywhere('b')), 'y/a', 'x/b', 80, 'x/b:80 to 10.0.2.1'],
    ['on another node as well', egress(everywhere('c')), 'y/a', 'x/c', 80, 'x/c:80 to 10.0.2.1'],
    [
      'is not allowed by its own port',
      egress(everywhere('b'), [{ port: 80 }, { port: 80, protocol: 'UDP' }]),
      'y/a',
      'x/b',
      81,
      '',
    ],
    [
      'is allowed by the port of the pod',
      egress(everywhere('b'), [{ port: 81 }, { port: 81, protocol: 'UDP' }]),
      'y/a',
      'x/b',
      81,
      'x/b:81 to 10.0.2.1',
    ],
    ['shows the client to the pod', ingress(everywhere('a')), 'y/a', 'x/b', 80, 'x/b:80 to 10.0.2.1'],
    ['and who it is not', ingress(everywhere('a')), 'y/b', 'x/a', 80, ''],
    ['leads an isolated pod to itself, as the node', isolated, 'x/a', 'x/a', 80, 'x/a:80 to 192.168.0.1'],
    ['does not let an isolated pod’s neighbour in', isolated, 'x/b', 'x/a', 80, ''],
  ]
  test.each(clients)('%s', async (_sentence, policies, from, backend, targetPort, heard) => {
    await nodes.become(policies)
    await serve(backend, targetPort)
    expect(asked(from, virtual, 80)).toEqual([heard, heard])
  })

  const callers: readonly Row[] = [
    ['is open from outside, as from the node', {}, outside, 'x/a', 80, 'x/a:80 to 192.168.0.1'],
    ['does not let strangers in as the node’s own', isolated, outside, 'x/a', 80, ''],
    [
      'does not take the node that a stranger comes as for him',
      ingress(block('192.168.0.1/32')),
      outside,
      'x/a',
      80,
      '',
    ],
    ['lets in whom policy lets in', ingress(block('203.0.113.7/32')), outside, 'x/a', 80, 'x/a:80 to 192.168.0.1'],
    ['does not let them in on another node', isolated, outside, 'x/c', 80, ''],
    ['where they are the first node', ingress(block('192.168.0.1/32')), outside, 'x/c', 80, 'x/c:80 to 192.168.0.1'],
    ['is open to the node of the pod', isolated, 'n1', 'x/a', 80, 'x/a:80 to 192.168.0.1'],
    ['is not open to a pod that may not send', isolated, 'y/b', 'x/a', 80, ''],
  ]
  test.each(callers)('by its node port %s', async (_sentence, policies, from, backend, targetPort, heard) => {
    await nodes.become(policies)
    await serve(backend, targetPort)
    expect(asked(from, worldNodes.n1, nodePort)).toEqual([heard, heard])
  })
})

function asked(from: string, address: string, port: number): readonly string[] {
  return nodes.ask((['TCP', 'UDP'] as const).map((protocol) => ({ from, protocol, address, port })))
}
