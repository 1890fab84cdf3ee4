import type { PodManifest } from './manifests.fixture.ts'
import { networkPolicy, type SemanticsRow, worldNodes, worldPod, type WorldPolicies } from './small-world.fixture.ts'

const all = {}
const pod = (name: string): { matchLabels: { pod: string } } => ({ matchLabels: { pod: name } })
const ns = (name: string): { matchLabels: { ns: string } } => ({ matchLabels: { ns: name } })
const ingress = (rule: object, podSelector: object = pod('a')): WorldPolicies => ({
  networkPolicies: [networkPolicy({ podSelector, ingress: [rule] })],
})
const egress = (rule: object, podSelector: object = pod('a')): WorldPolicies => ({
  networkPolicies: [networkPolicy({ podSelector, policyTypes: ['Egress'], egress: [rule] })],
})

const onHost: PodManifest = {
  ...worldPod('x', 'h'),
  spec: { nodeName: 'n2', hostNetwork: true, containers: [] },
  status: { phase: 'Running', podIP: worldNodes.n2 },
}
const worldB = worldPod('x', 'b')
const finished: PodManifest = { ...worldB, status: { ...worldB.status, phase: 'Succeeded' } }

export const networkPolicyRows: readonly SemanticsRow[] = [
  ['no policy leaves everything open', {}, { 'x/a y/c': true, '203.0.113.7 x/a': true, 'x/a x/b ICMP': true }],
  [
    'missing rules isolate the selected pods, in the direction of the policy alone',
    { networkPolicies: [networkPolicy({ podSelector: pod('a') })] },
    { 'x/b x/a': false, '203.0.113.7 x/a': false, 'x/b x/a ICMP': false, 'x/a x/b': true, 'y/b y/a': true },
  ],
  [
    'an empty list of rules isolates as well',
    { networkPolicies: [networkPolicy({ podSelector: pod('a'), ingress: [] })] },
    { 'x/b x/a': false },
  ],
  ['an empty rule allows all', ingress({}), { 'x/b x/a': true, '203.0.113.7 x/a 9/SCTP': true, 'y/a x/a ICMP': true }],
  [
    'an empty pod selector selects every pod of the namespace, and no other',
    { networkPolicies: [networkPolicy({ podSelector: {} })] },
    { 'y/a x/a': false, 'y/a x/c': false, 'x/a y/a': true },
  ],
  [
    'a podSelector alone means the namespace of the policy',
    ingress({ from: [{ podSelector: pod('b') }] }),
    { 'x/b x/a': true, 'y/b x/a': false, 'x/c x/a': false },
  ],
  [
    'a namespaceSelector alone means all pods there',
    ingress({ from: [{ namespaceSelector: ns('y') }] }),
    { 'y/a x/a': true, 'y/c x/a': true, 'z/a x/a': false, 'x/b x/a': false },
  ],
  [
    'both in one item mean both',
    ingress({ from: [{ namespaceSelector: ns('y'), podSelector: pod('b') }] }),
    { 'y/b x/a': true, 'y/a x/a': false, 'x/b x/a': false },
  ],
  [
    'in two items either',
    ingress({ from: [{ namespaceSelector: ns('y') }, { podSelector: pod('b') }] }),
    { 'y/a x/a': true, 'x/b x/a': true, 'x/c x/a': false, 'z/b x/a': false },
  ],
  [
    'empty selectors mean everybody with an address of a pod',
    ingress({ from: [{ namespaceSelector: all }] }),
    { 'z/c x/a': true, '203.0.113.7 x/a': false, 'n2 x/a': false },
  ],
  [
    'policies add up',
    {
      networkPolicies: [
        networkPolicy({ podSelector: pod('a'), ingress: [{ from: [{ podSelector: pod('b') }] }] }),
        networkPolicy(
          { podSelector: {}, ingress: [{ from: [{ podSelector: pod('c') }] }] },
          { name: 'q', namespace: 'x' },
        ),
      ],
    },
    { 'x/b x/a': true, 'x/c x/a': true, 'y/b x/a': false },
  ],
  [
    'a flow needs the egress of its source and the ingress of its destination',
    {
      networkPolicies: [
        networkPolicy({ podSelector: {}, policyTypes: ['Egress'], egress: [{ to: [{ namespaceSelector: ns('y') }] }] }),
        networkPolicy(
          { podSelector: {}, ingress: [{ from: [{ podSelector: pod('b') }] }] },
          { name: 'q', namespace: 'y' },
        ),
      ],
    },
    { 'x/a y/a': false, 'z/a y/a': false, 'y/b y/a': true, 'x/a z/a': false, 'y/a x/a': true },
  ],
  [
    'a port without a protocol is of TCP',
    ingress({ ports: [{ port: 80 }] }),
    { 'x/b x/a 80/TCP': true, 'x/b x/a 80/UDP': false, 'x/b x/a 81/TCP': false, 'x/b x/a ICMP': false },
  ],
  [
    'a protocol without a port is all of it',
    ingress({ ports: [{ protocol: 'UDP' }] }),
    { 'x/b x/a 9/UDP': true, 'x/b x/a 9/TCP': false },
  ],
  [
    'a rule for SCTP isolates TCP',
    ingress({ ports: [{ protocol: 'SCTP', port: 80 }] }),
    { 'x/b x/a 80/SCTP': true, 'x/b x/a 80/TCP': false },
  ],
  [
    'endPort is included',
    ingress({ ports: [{ port: 80, endPort: 82 }] }),
    { 'x/b x/a 79/TCP': false, 'x/b x/a 80/TCP': true, 'x/b x/a 82/TCP': true, 'x/b x/a 83/TCP': false },
  ],
  [
    'a named port is what the destination calls so: for ingress the selected pod',
    ingress({ ports: [{ port: 'http' }] }, all),
    { 'y/a x/a 80/TCP': true, 'y/a x/a 81/TCP': false, 'y/a x/b 81/TCP': true, 'y/a x/b 80/TCP': false },
  ],
  [
    'for egress it differs by peer',
    egress({ to: [{ namespaceSelector: all }], ports: [{ port: 'http' }] }),
    { 'x/a y/b 81/TCP': true, 'x/a y/b 80/TCP': false, 'x/a y/c 80/TCP': true, 'x/a y/c 80/UDP': false },
  ],
  [
    'a name with the wrong protocol is nobody’s port',
    egress({ to: [{ namespaceSelector: all }], ports: [{ protocol: 'UDP', port: 'http' }] }),
    { 'x/a y/b 81/UDP': false, 'x/a y/b 81/TCP': false },
  ],
  [
    'a name never matches a block',
    egress({ to: [{ ipBlock: { cidr: '0.0.0.0/0' } }], ports: [{ port: 'http' }] }),
    { 'x/a y/b 81/TCP': false, 'x/a 203.0.113.7 80/TCP': false },
  ],
  [
    'a name without peers is that of any pod',
    egress({ ports: [{ port: 'http' }] }),
    { 'x/a y/b 81/TCP': true, 'x/a 203.0.113.7 80/TCP': false },
  ],
  [
    'addresses of pods inside of a block match it',
    ingress({ from: [{ ipBlock: { cidr: '10.0.2.0/24' } }] }),
    { 'y/a x/a': true, 'z/a x/a': false, '10.0.2.99 x/a': true },
  ],
  [
    'an exception carves out of its own block only',
    ingress({
      from: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['10.0.2.0/24'] } }, { ipBlock: { cidr: '10.0.2.2/32' } }],
    }),
    { 'y/a x/a': false, 'y/b x/a': true, 'z/a x/a': true },
  ],
  [
    'without policyTypes it is about ingress; rules of egress make it about egress too',
    { networkPolicies: [networkPolicy({ podSelector: pod('a'), egress: [{ to: [{ podSelector: pod('b') }] }] })] },
    { 'x/b x/a': false, 'x/a x/b': true, 'x/a x/c': false, 'x/b x/c': true },
  ],
  [
    'with policyTypes of egress alone it is not about ingress',
    egress({ to: [{ podSelector: pod('b') }] }),
    { 'x/b x/a': true, 'x/a x/b': true, 'x/a y/b': false },
  ],
  [
    'policyTypes may name a direction without rules, which isolates it',
    { networkPolicies: [networkPolicy({ podSelector: pod('a'), policyTypes: ['Ingress', 'Egress'], ingress: [{}] })] },
    { 'x/b x/a': true, 'x/a x/b': false },
  ],
  [
    'a pod on the network of its host is no peer of a selector; a block has its address',
    { pods: [onHost], ...ingress({ from: [{ podSelector: pod('h') }] }) },
    { 'n2 x/a': false, 'n1 x/a': true },
  ],
  [
    'and no subject',
    { pods: [onHost], networkPolicies: [networkPolicy({ podSelector: pod('h') })] },
    { 'x/a n2': true, 'y/a n2': true, 'n2 x/a': true },
  ],
  [
    'another node’s address may be in a block',
    ingress({ from: [{ ipBlock: { cidr: '192.168.0.2/32' } }] }),
    { 'n2 x/a': true, 'x/b x/a': false },
  ],
  [
    'a finished pod is no peer',
    { pods: [finished], ...ingress({ from: [{ podSelector: pod('b') }] }) },
    { 'x/b x/a': false },
  ],
  [
    'a pod reaches itself, its node reaches it, other nodes are as anybody',
    { networkPolicies: [networkPolicy({ podSelector: {}, policyTypes: ['Ingress', 'Egress'] })] },
    { 'x/a x/a': true, 'n1 x/a': true, 'n2 x/a': false, 'x/a n1': false, 'n2 x/c': true },
  ],
]
