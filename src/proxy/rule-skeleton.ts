import type { L4 } from '../kube/service-port.ts'
import { noElements } from '../nftables/elements.ts'
import type { BaseChain, Chain, NftSet, Rule } from '../nftables/model.ts'
import {
  concat,
  differs,
  dispatch,
  dnatTo,
  equals,
  type Expression,
  isIn,
  isNotIn,
  isProtocol,
  lookup,
  random,
  type Statement,
  verdict,
} from '../nftables/statement.ts'
import {
  admittedName,
  affinityName,
  balancerName,
  endpointsName,
  fromOutsideChain,
  guardedName,
  hairpinName,
  isNodeScope,
  l4Protocols,
  learnChain,
  masqueradeName,
  masquerades,
  nodeAddressesName,
  refuseChain,
  scopes,
  type Scope,
  stickyName,
} from './rule-names.ts'
import type { Masquerade } from './service-table.ts'

const frontendKey: Expression = concat('ip daddr', 'meta l4proto', 'th dport')
const nodePortKey: Expression = concat('meta l4proto', 'th dport')
const masquerade: Statement = { kind: 'masquerade', ports: 'fully-random' }
const toThisNode = isIn('ip daddr', nodeAddressesName)
// Bits of `ct status`: IPS_CONFIRMED and IPS_DST_NAT of linux/netfilter/nf_conntrack_common.h.
const confirmedOrDnat = 0x28
const isFirstTranslated: Statement = {
  kind: 'match',
  left: 'ct status',
  operator: '==',
  mask: confirmedOrDnat,
  right: 'dnat',
}
// Bytes of an endpoint that fit in no window are translated back for nobody: under the endpoint's own address its client
// knows no connection, resets it, and so ends the one it has (kubernetes#74839). Of others' packets nothing is judged:
// where they come one way only, none may fit.
const untranslatable: Rule = [
  equals('ct state', 'invalid'),
  isProtocol('tcp'),
  isIn(concat('ip saddr', 'ip saddr'), hairpinName),
  verdict('drop'),
]
/** When so many are kept, nobody's new choice is, until one is forgotten. */
const maxChoices = 262_144

/** What is there however many Services there are. */
export function skeletonSets(): ReadonlyMap<string, NftSet> {
  const sets = new Map<string, NftSet>()
  const add = (name: string, set: Omit<NftSet, 'elements'>): void =>
    void sets.set(name, { ...set, elements: noElements })
  const addressKey = ['ipv4_addr', 'inet_proto', 'inet_service'] as const
  const nodeKey = ['inet_proto', 'inet_service'] as const
  add(nodeAddressesName, { key: ['ipv4_addr'] })
  add(guardedName, { key: addressKey })
  add(admittedName, { key: [...addressKey, 'ipv4_addr'], interval: true })
  add(hairpinName, { key: ['ipv4_addr', 'ipv4_addr'] })
  for (const scope of scopes) {
    const isNode = isNodeScope(scope)
    add(scope, { key: isNode ? nodeKey : addressKey, data: 'verdict' })
    for (const protocol of l4Protocols) {
      add(endpointsName(scope, protocol), {
        key: isNode ? ['inet_service', 'random'] : ['ipv4_addr', 'inet_service', 'random'],
        data: ['ipv4_addr', 'inet_service'],
        ports: protocol,
      })
    }
  }
  // Not maps of verdicts: with every new verdict the kernel looks through all of those maps (nft_table_validate), 0.1 µs an
  // element for each rule that asks the map.
  for (const masquerade of masquerades) {
    add(masqueradeName('address', masquerade), { key: addressKey })
    add(masqueradeName('node', masquerade), { key: nodeKey })
  }
  return sets
}

/** `localPods` is the pattern of the host's ends of pods' interfaces, such as `oci*`. */
export function skeletonChains(localPods: string): ReadonlyMap<string, Chain> {
  const isElsewhere = differs('iifname', localPods)
  const guard: Rule = [
    isIn(frontendKey, guardedName),
    isNotIn(concat('ip daddr', 'meta l4proto', 'th dport', 'ip saddr'), admittedName),
    verdict('drop'),
  ]
  const inside: readonly Rule[] = [[dispatch(frontendKey, 'svc4')], [toThisNode, dispatch(nodePortKey, 'np4')]]
  const outside: readonly Rule[] = [[dispatch(frontendKey, 'svc4-out')], [toThisNode, dispatch(nodePortKey, 'np4-out')]]
  return new Map<string, Chain>([
    [
      'prerouting',
      {
        base: base('nat', 'prerouting', -100),
        rules: [guard, [isElsewhere, verdict(`jump ${fromOutsideChain}`)], ...inside],
      },
    ],
    [fromOutsideChain, { rules: outside }],
    // What this host sends, it sends from inside.
    ['output', { base: base('nat', 'output', -100), rules: [guard, ...inside] }],
    [
      'postrouting',
      { base: base('nat', 'postrouting', 100), rules: [[equals('ct status', 'dnat'), verdict('goto source')]] },
    ],
    ['source', { rules: sourceRules(localPods) }],
    ['forward', { base: base('filter', 'forward', 0), rules: [untranslatable] }],
    [refuseChain, { rules: refusal }],
  ])
}

// The kernel knows the incoming interface in postrouting since 5.7; what this host sends has none. Local pods, who make
// most connections, are done before the set of all cluster IPs would be asked.
function sourceRules(localPods: string): readonly Rule[] {
  return [
    ...ofFrontends('all', masquerade),
    [isIn(concat('ip saddr', 'ip daddr'), hairpinName), masquerade],
    [equals('iifname', localPods), verdict('return')],
    ...ofFrontends('host', equals('fib saddr type', 'local'), masquerade),
    ...ofFrontends('outside', differs('fib saddr type', 'local'), masquerade),
  ]
}

// nft takes `ct original proto-dst` for a port only where a rule has said whose.
function ofFrontends(answer: Masquerade, ...statements: readonly Statement[]): readonly Rule[] {
  const address = concat('ct original ip daddr', 'meta l4proto', 'ct original proto-dst')
  const node = concat('meta l4proto', 'ct original proto-dst')
  return l4Protocols.flatMap((protocol): Rule[] => [
    [isProtocol(protocol), isIn(address, masqueradeName('address', answer)), ...statements],
    [
      isProtocol(protocol),
      isIn('ct original ip daddr', nodeAddressesName),
      isIn(node, masqueradeName('node', answer)),
      ...statements,
    ],
  ])
}

// In prerouting since Linux 5.9.
const refusal: readonly Rule[] = [
  [isProtocol('tcp'), { kind: 'reject', with: 'tcp reset' }],
  [{ kind: 'reject', with: 'icmp port-unreachable' }],
]

function base(type: BaseChain['type'], hook: BaseChain['hook'], priority: number): BaseChain {
  return { type, hook, priority, policy: 'accept' }
}

/** Picks one of `count` endpoints, for every frontend of the scope with as many. */
export function balancerChain(scope: Scope, protocol: L4, count: number): Chain {
  const choose = (among: number): Rule => {
    const number = random(among)
    const key = isNodeScope(scope) ? concat('th dport', number) : concat('ip daddr', 'th dport', number)
    const chosen = lookup(key, endpointsName(scope, protocol))
    return [isProtocol(protocol), dnatTo({ lookup: chosen, yields: 'address and port' })]
  }
  // A packet may look its frontend up before a transaction takes effect and the endpoint after it. When its number is
  // gone, the first one is there; when all are gone, the packet is to be sent again: one that passed untranslated would
  // leave a connection behind that stays so.
  return { rules: [...(count > 1 ? [choose(count), choose(1)] : [choose(1)]), [verdict('drop')]] }
}

export function stickyBalancerChain(scope: Scope, protocol: L4, count: number, timeoutSeconds: number): Chain {
  const key = concat('ip saddr', 'ip daddr', `${protocol} dport`)
  const known = lookup(key, affinityName(protocol, timeoutSeconds))
  return {
    rules: [
      [isProtocol(protocol), dnatTo({ lookup: known, yields: 'address and port' })],
      [verdict(`goto ${balancerName(scope, protocol, count)}`)],
    ],
  }
}

/**
 * What it takes to keep clients' choices for so long.
 *
 * The kernel makes a hash table for as many elements as are announced, and reads only 16 bits of the number (`nelem_hint`
 * of linux/rhashtable-types.h): 65,535 take 2 MiB at once, 2^18 nothing. More would cost the agent too much: it reads all
 * of them for every purge, in time that grows with their square (1.6 s; 41 s for 2^20), and writes all of them when it
 * makes the table anew (4 s and 0.8 GB).
 */
export function affinitySets(protocol: L4, timeoutSeconds: number): readonly (readonly [string, NftSet])[] {
  const learned: NftSet = {
    key: ['ipv4_addr', 'ipv4_addr', 'inet_service'],
    data: ['ipv4_addr', 'inet_service'],
    learned: { timeoutSeconds },
    size: maxChoices,
    elements: noElements,
  }
  return [
    [affinityName(protocol, timeoutSeconds), learned],
    [stickyName('address', protocol, timeoutSeconds), { key: ['ipv4_addr', 'inet_service'], elements: noElements }],
    [stickyName('node', protocol, timeoutSeconds), { key: ['inet_service'], elements: noElements }],
  ]
}

/**
 * Only where clients' choices are kept: every packet passes them, not only the first of a connection. `new` are also a
 * SYN that is sent again and all packets of a UDP flow without an answer; of an endpoint that is gone, they would bring
 * back what was just forgotten. Only before it is confirmed is a connection at its first packet.
 */
export function learnHooks(): readonly (readonly [string, Chain])[] {
  const rules: readonly Rule[] = [[equals('ct state', 'new'), isFirstTranslated, verdict(`goto ${learnChain}`)]]
  return [
    ['learn-prerouting', { base: base('filter', 'prerouting', -99), rules }],
    ['learn-output', { base: base('filter', 'output', -99), rules }],
  ]
}

export function learnRules(protocol: L4, timeoutSeconds: number): readonly Rule[] {
  const learn: Statement = {
    kind: 'learn',
    set: affinityName(protocol, timeoutSeconds),
    key: concat('ip saddr', 'ct original ip daddr', 'ct original proto-dst'),
    data: concat('ip daddr', `${protocol} dport`),
  }
  const original = concat('ct original ip daddr', 'ct original proto-dst')
  return [
    [isProtocol(protocol), isIn(original, stickyName('address', protocol, timeoutSeconds)), learn],
    [
      isProtocol(protocol),
      isIn('ct original ip daddr', nodeAddressesName),
      isIn('ct original proto-dst', stickyName('node', protocol, timeoutSeconds)),
      learn,
    ],
  ]
}
