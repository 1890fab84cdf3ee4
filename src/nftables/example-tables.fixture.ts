// Tables with one of everything, in the shapes that services, network policies and meshes need.
import { type Ip, type Ipv4, type Ipv6, ipFromBytes, parseIpv4 } from '../base/ip.ts'
import { unwrap } from '../base/result.ts'
import { type Packed, packerOf, packRange } from './datatype.ts'
import { elementsOf, noElements, setElementsOf } from './elements.ts'
import type { Chain, NftSet, Rule, Table } from './model.ts'
import {
  concat,
  constant,
  differs,
  dispatch,
  dnatTo,
  equals,
  isIn,
  isNotIn,
  isProtocol,
  lookup,
  random,
  redirectTo,
  setMark,
  type Statement,
  verdict,
} from './statement.ts'

const ip = (text: string): Ipv4 => unwrap(parseIpv4(text))
const ip6 = (hex: string): Ip => ipFromBytes(Buffer.from(hex.padEnd(32, '0'), 'hex'))

const packService = packerOf(['ipv4_addr', 'inet_proto', 'inet_service'])
const packChoice = packerOf(['ipv4_addr', 'inet_service', 'random'])
const packEndpoint = packerOf(['ipv4_addr', 'inet_service'])

const [dns, web] = [ip('10.96.0.10'), ip('10.96.0.20')]

function balance(protocol: 'tcp' | 'udp', count: number): Rule {
  const chosen = lookup(concat('ip daddr', 'th dport', random(count)), `eps4-${protocol}`)
  return [isProtocol(protocol), dnatTo({ lookup: chosen, yields: 'address and port' })]
}

function choices(service: Ipv4, port: number, endpoints: readonly (readonly [Ipv4, number])[]): [Packed, Packed][] {
  return endpoints.map((endpoint, index) => [packChoice(service, port, index), packEndpoint(...endpoint)])
}

const serviceSets: Readonly<Record<string, NftSet>> = {
  svc4: {
    key: ['ipv4_addr', 'inet_proto', 'inet_service'],
    data: 'verdict',
    elements: elementsOf([
      [packService(dns, 'udp', 53), 'goto lb4-udp-2'],
      [packService(web, 'tcp', 80), 'goto sticky-tcp'],
      [packService(web, 'sctp', 9), 'goto refuse'],
    ]),
  },
  'eps4-tcp': {
    key: ['ipv4_addr', 'inet_service', 'random'],
    data: ['ipv4_addr', 'inet_service'],
    ports: 'tcp',
    elements: elementsOf(choices(web, 80, [[ip('10.0.0.5'), 8080]])),
  },
  'eps4-udp': {
    key: ['ipv4_addr', 'inet_service', 'random'],
    data: ['ipv4_addr', 'inet_service'],
    ports: 'udp',
    elements: elementsOf(choices(dns, 53, [[ip('10.0.0.5'), 53], [ip('10.0.1.9'), 5353]])), // prettier-ignore
  },
  'aff-tcp': {
    key: ['ipv4_addr', 'ipv4_addr', 'inet_service'],
    data: ['ipv4_addr', 'inet_service'],
    learned: { timeoutSeconds: 10_800 },
    elements: noElements,
  },
  nodeports: {
    key: ['inet_proto', 'inet_service'],
    data: 'verdict',
    elements: elementsOf([[packerOf(['inet_proto', 'inet_service'])('tcp', 30_080), 'goto lb4-tcp-1']]),
  },
  'pod-addresses': {
    key: ['ipv4_addr'],
    interval: true,
    elements: setElementsOf([packRange(['ipv4_addr'], [ip('10.0.0.0')], [ip('10.0.3.255')])]),
  },
  hairpin: { key: ['ipv4_addr', 'ipv4_addr'], size: 1024, elements: noElements },
}

const affinityKey = concat('ip saddr', 'ct original ip daddr', 'ct original proto-dst')
const serviceChains: Readonly<Record<string, Chain>> = {
  prerouting: {
    base: { type: 'nat', hook: 'prerouting', priority: -100, policy: 'accept' },
    rules: [
      [dispatch(concat('ip daddr', 'meta l4proto', 'th dport'), 'svc4')],
      [equals('fib daddr type', 'local'), dispatch(concat('meta l4proto', 'th dport'), 'nodeports')],
    ],
  },
  learn: {
    base: { type: 'filter', hook: 'prerouting', priority: -99, policy: 'accept' },
    rules: [
      [
        equals('ct status', 'dnat'),
        equals('ct direction', 'original'),
        isProtocol('tcp'),
        { kind: 'learn', set: 'aff-tcp', key: affinityKey, data: concat('ip daddr', 'tcp dport') },
      ],
    ],
  },
  postrouting: {
    base: { type: 'nat', hook: 'postrouting', priority: 100, policy: 'accept' },
    rules: [
      [isIn(concat('ip saddr', 'ip daddr'), 'hairpin'), { kind: 'masquerade', ports: 'fully-random' }],
      [equals('ct status', 'dnat'), isNotIn('ip saddr', 'pod-addresses'), { kind: 'counter' }, { kind: 'masquerade' }],
    ],
  },
  'sticky-tcp': {
    rules: [
      [
        isProtocol('tcp'),
        dnatTo({ lookup: lookup(concat('ip saddr', 'ip daddr', 'tcp dport'), 'aff-tcp'), yields: 'address and port' }),
      ],
      [verdict('goto lb4-tcp-1')],
    ],
  },
  'lb4-tcp-1': { rules: [balance('tcp', 1)] },
  'lb4-udp-2': { rules: [balance('udp', 2)] },
  refuse: { rules: [[verdict('return')]] },
  answers: {
    base: { type: 'filter', hook: 'forward', priority: -10, policy: 'accept' },
    rules: [
      [equals('ct original ip daddr', '10.96.0.0/16'), isProtocol('tcp'), { kind: 'reject', with: 'tcp reset' }],
      [equals('ct original ip daddr', '10.96.0.0/16'), { kind: 'reject', with: 'icmp port-unreachable' }],
    ],
  },
}

const packPod = packerOf(['ifname', 'ipv4_addr'])
const packIfname = packerOf(['ifname'])
const policySets: Readonly<Record<string, NftSet>> = {
  'from-pod': {
    key: ['ifname'],
    data: 'verdict',
    elements: elementsOf([[packIfname('oci0123456789a'), 'jump egress-a'], [packIfname('ocib'), 'drop']]), // prettier-ignore
  },
  'pod-addresses': {
    key: ['ifname', 'ipv4_addr'],
    elements: setElementsOf([packPod('oci0123456789a', ip('10.0.0.5')), packPod('ocib', ip('10.0.0.6'))]),
  },
  peers: {
    key: ['ipv4_addr', 'inet_service'],
    interval: true,
    elements: setElementsOf([
      packRange(['ipv4_addr', 'inet_service'], [ip('10.1.0.0'), 0], [ip('10.1.255.255'), 65_535]),
      packRange(['ipv4_addr', 'inet_service'], [ip('192.0.2.1'), 8000], [ip('192.0.2.9'), 8010]),
    ]),
  },
  peers6: {
    key: ['ipv6_addr'],
    elements: setElementsOf([packerOf(['ipv6_addr'])(ip6('20010db8') as Ipv6)]),
  },
  networks: {
    key: ['ipv4_addr'],
    data: 'verdict',
    interval: true,
    elements: elementsOf([
      [packRange(['ipv4_addr'], [ip('10.1.0.0')], [ip('10.1.255.255')]), 'accept'],
      [packRange(['ipv4_addr'], [ip('10.2.0.0')], [ip('10.2.0.0')]), 'jump egress-a'],
      [packRange(['ipv4_addr'], [ip('240.0.0.0')], [ip('255.255.255.255')]), 'drop'],
    ]),
  },
  drops: { key: ['ifname'], counted: true, elements: setElementsOf([packIfname('ocib')]) },
  denied: {
    key: ['ipv4_addr', 'inet_proto', 'inet_service'],
    learned: { timeoutSeconds: 60 },
    size: 4096,
    counted: true,
    elements: noElements,
  },
  marks: { key: ['mark'], elements: setElementsOf([packerOf(['mark'])(0x4000)]) },
}

const rarely: Statement = { kind: 'limit', rate: 10, per: 'minute', burst: 5 }
const policyChains: Readonly<Record<string, Chain>> = {
  forward: {
    base: { type: 'filter', hook: 'forward', priority: 0, policy: 'accept' },
    rules: [
      [equals('iifname', 'oci*'), isNotIn(concat('iifname', 'ip saddr'), 'pod-addresses'), rarely, verdict('drop')],
      [equals('ct direction', 'reply'), equals('ct state', ['established', 'related']), verdict('accept')],
      [dispatch('iifname', 'from-pod')],
      [dispatch('ip daddr', 'networks')],
    ],
  },
  'egress-a': {
    rules: [
      [isProtocol('tcp'), isIn(concat('ip daddr', 'th dport'), 'peers'), verdict('return')],
      [equals('udp dport', { from: 5000, to: 5010 }), differs('ip daddr', '10.9.0.0/16'), verdict('return')],
      [isIn('ip6 daddr', 'peers6'), verdict('accept')],
      [isIn('meta mark', 'marks'), { kind: 'mark', target: 'ct mark', value: 0x10, keep: 0xffff_ff0f }],
      [{ kind: 'match', left: 'ct mark', operator: '==', mask: 0xf0, right: 0x10 }, verdict('continue')],
      [equals('icmpv6 type', ['nd-neighbor-solicit', 'nd-neighbor-advert']), verdict('accept')],
      [isIn('oifname', 'drops')],
      [isProtocol('tcp'), { kind: 'learn', set: 'denied', key: concat('ip daddr', 'meta l4proto', 'th dport') }],
      [isProtocol('icmp'), { kind: 'learn', set: 'denied', key: concat('ip daddr', 'meta l4proto', constant(0)) }],
      [rarely, { kind: 'log', prefix: 'policy denied: ', group: 4 }],
      [{ kind: 'reject', with: 'icmpx admin-prohibited' }],
    ],
  },
}

const redirectionChains: Readonly<Record<string, Chain>> = {
  'own-questions': {
    base: { type: 'filter', hook: 'output', priority: -300, policy: 'accept' },
    rules: [[equals('udp dport', 53), equals('meta skgid', 1337), { kind: 'zone', zone: 1 }]],
  },
  inbound: {
    base: { type: 'filter', hook: 'prerouting', priority: -150, policy: 'accept' },
    rules: [
      [isProtocol('tcp'), { kind: 'tproxy', port: 15_006 }, setMark('meta mark', 1337), verdict('accept')],
      [{ kind: 'match', left: 'tcp flags', operator: '==', mask: 0x17, right: 'syn' }, { kind: 'reject', with: 'tcp reset' }], // prettier-ignore
    ],
  },
  marks: {
    base: { type: 'route', hook: 'output', priority: -150, policy: 'accept' },
    rules: [[equals('ct mark', 1337), setMark('meta mark', 1337)]],
  },
  outbound: {
    base: { type: 'nat', hook: 'output', priority: -100, policy: 'accept' },
    rules: [
      [equals('oifname', ['lo', 'net1']), differs('meta skuid', [1337, 2102]), verdict('return')],
      [isProtocol('tcp'), redirectTo(15_001)],
    ],
  },
}

const packEndpoint6 = packerOf(['ipv6_addr', 'inet_service'])
const [web6, pod6] = [ip6('fd000096') as Ipv6, ip6('fd000010') as Ipv6]
const ipv6Sets: Readonly<Record<string, NftSet>> = {
  svc6: {
    key: ['ipv6_addr', 'inet_service'],
    data: ['ipv6_addr', 'inet_service'],
    elements: elementsOf([[packEndpoint6(web6, 80), packEndpoint6(pod6, 8080)]]),
  },
  blocks: {
    key: ['ipv6_addr'],
    interval: true,
    elements: setElementsOf([
      packRange(['ipv6_addr'], [ip6('fd') as Ipv6], [ip6('fdffffffffffffffffffffffffffffff') as Ipv6]),
    ]),
  },
}
const ipv6Chains: Readonly<Record<string, Chain>> = {
  prerouting: {
    base: { type: 'nat', hook: 'prerouting', priority: -100, policy: 'accept' },
    rules: [
      [
        isProtocol('tcp'),
        isIn('ip6 saddr', 'blocks'),
        dnatTo({ lookup: lookup(concat('ip6 daddr', 'tcp dport'), 'svc6'), yields: 'address and port' }, 'ip6'),
      ],
      [equals('ip6 daddr', 'fd00::/8'), equals('tcp dport', 81), dnatTo({ address: 'fd00::1', port: 8081 }, 'ip6')],
      [equals('ip6 daddr', 'fd00::/8'), equals('tcp dport', [82, 83]), dnatTo({ address: 'fd00::1' }, 'ip6')],
    ],
  },
}

export const exampleTables: readonly Table[] = [
  {
    family: 'ip6',
    name: 'services6',
    sets: new Map(Object.entries(ipv6Sets)),
    chains: new Map(Object.entries(ipv6Chains)),
  },
  {
    family: 'ip',
    name: 'service-proxy',
    sets: new Map(Object.entries(serviceSets)),
    chains: new Map(Object.entries(serviceChains)),
  },
  {
    family: 'inet',
    name: 'network-policy',
    sets: new Map(Object.entries(policySets)),
    chains: new Map(Object.entries(policyChains)),
  },
  { family: 'inet', name: 'redirection', sets: new Map(), chains: new Map(Object.entries(redirectionChains)) },
]
