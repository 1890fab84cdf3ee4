import { cidrContains } from '../base/cidr.ts'
import type { Ipv4 } from '../base/ip.ts'
import { l4Of, type ServiceProtocol } from '../kube/service-port.ts'
import { packerOf } from '../nftables/datatype.ts'
import { getElement } from '../nftables/elements.ts'
import {
  type DirectionPolicy,
  peerKey,
  peerPortKey,
  type PeerSet,
  type PolicyDirection,
  type PolicyName,
  type PolicyRule,
  type PolicyRules,
  type PolicyTable,
  type PortRange,
} from './policy-table.ts'

/** One end of a flow. */
export type Party =
  /** With a network of its own; subject to policies. */
  | { readonly kind: 'pod'; readonly key: string; readonly address: Ipv4 }
  /** A node itself, or a pod on its network. */
  | { readonly kind: 'node'; readonly name: string; readonly address: Ipv4 }
  | { readonly kind: 'outside'; readonly address: Ipv4 }

/** Packets to a port, as the destination pod sees it: behind any Service. Or those of another protocol, such as ICMP. */
export type Traffic = { readonly protocol: ServiceProtocol; readonly port: number } | { readonly protocol: 'other' }

/** The tables of the nodes that the two ends are on. */
export interface FlowTables {
  readonly from: PolicyTable | undefined
  readonly to: PolicyTable | undefined
}

/** A flow needs both. */
export interface FlowDecision {
  readonly isAllowed: boolean
  readonly egress: DirectionDecision
  readonly ingress: DirectionDecision
}

export type DirectionDecision = { readonly isAllowed: boolean } & DecidedBy
export type DecidedBy =
  | {
      readonly by: 'rule'
      readonly tier: 'admin' | 'network' | 'baseline'
      readonly policy: PolicyName
      readonly rule: Pick<PolicyRule, 'index' | 'name' | 'action'>
      /** What of the rule it was: a key of a peer set, or any. */
      readonly peer: string
    }
  /** Isolated by these, and no rule of theirs allows it. */
  | { readonly by: 'isolation'; readonly policies: readonly PolicyName[] }
  /** Nothing is said about it. */
  | { readonly by: 'default' }
  /** This end is no pod with a network of its own: policies are not for it. */
  | { readonly by: 'no subject' }
  /** A pod to itself, which no packet leaves the pod for. */
  | { readonly by: 'itself' }
  /** From the pod's own node, which may always reach it. */
  | { readonly by: 'own node' }
  /** The table does not have the pod: not allowed, as nothing is before its policies are known. */
  | { readonly by: 'unknown pod' }

const packAddress = packerOf(peerKey)
const packPort = packerOf(peerPortKey)

/** May `from` open a flow to `to`, and what decides? Answers from the compiled rules alone. */
export function decideFlow(tables: FlowTables, from: Party, to: Party, traffic: Traffic): FlowDecision {
  const isItself = from.kind === 'pod' && to.kind === 'pod' && from.key === to.key
  const egress = isItself ? itself : decideDirection(tables.from, 'egress', from, to, traffic)
  const ingress = isItself ? itself : decideDirection(tables.to, 'ingress', to, from, traffic)
  return { isAllowed: egress.isAllowed && ingress.isAllowed, egress, ingress }
}

const itself: DirectionDecision = { isAllowed: true, by: 'itself' }

/** One direction: `subject` is the end whose policies are asked, on the node of `table`. */
export function decideDirection(
  table: PolicyTable | undefined,
  direction: PolicyDirection,
  subject: Party,
  peer: Party,
  traffic: Traffic,
): DirectionDecision {
  if (subject.kind !== 'pod') return { isAllowed: true, by: 'no subject' }
  if (direction === 'ingress' && peer.kind === 'node' && peer.name === table?.node)
    return { isAllowed: true, by: 'own node' }
  const pod = table?.pods.get(subject.key)
  if (table === undefined || pod === undefined) return { isAllowed: false, by: 'unknown pod' }
  return decide(pod[direction], (rule) => matchedPeer(table, direction, rule, peer.address, traffic))
}

type Matcher = (rule: PolicyRule) => string | undefined

function decide(policy: DirectionPolicy, match: Matcher): DirectionDecision {
  const admin = firstMatch('admin', policy.admin, match)
  if (admin !== undefined && admin.rule.action !== 'pass') return decided(admin)
  if (policy.network.length > 0) {
    const allowing = firstMatch('network', policy.network, match)
    if (allowing !== undefined) return decided(allowing)
    return { isAllowed: false, by: 'isolation', policies: policy.network.map((rules) => rules.policy) }
  }
  const baseline = firstMatch('baseline', policy.baseline, match)
  return baseline === undefined ? { isAllowed: true, by: 'default' } : decided(baseline)
}

type RuleDecision = Extract<DecidedBy, { readonly by: 'rule' }>

function decided(by: RuleDecision): DirectionDecision {
  return { isAllowed: by.rule.action !== 'deny', ...by }
}

function firstMatch(
  tier: RuleDecision['tier'],
  lists: readonly PolicyRules[],
  match: Matcher,
): RuleDecision | undefined {
  for (const { policy, rules } of lists) {
    for (const rule of rules) {
      const peer = match(rule)
      if (peer === undefined) continue
      const { index, name, action } = rule
      return { by: 'rule', tier, policy, rule: { index, action, ...(name !== undefined && { name }) }, peer }
    }
  }
  return undefined
}

function matchedPeer(
  table: PolicyTable,
  direction: PolicyDirection,
  rule: PolicyRule,
  address: Ipv4,
  traffic: Traffic,
): string | undefined {
  const set = (key: string): PeerSet => {
    const found = table.peerSets.get(key)
    if (found === undefined) throw new Error(`the table has no peer set ${key}`)
    return found
  }
  if (rule.ports === 'any' || rule.ports.some((range) => isInRange(range, traffic))) {
    if (rule.peers === 'any') return 'any'
    const peer = rule.peers.find((key) => hasAddress(set(key), address))
    if (peer !== undefined) return peer
  }
  if (direction === 'ingress' || traffic.protocol === 'other') return undefined
  const member = packPort(address, l4Of[traffic.protocol], traffic.port)
  return rule.portSets.find((key) => {
    const ports = set(key)
    return ports.kind === 'ports' && getElement(ports.members, member) !== undefined
  })
}

function isInRange({ protocol, first, last }: PortRange, traffic: Traffic): boolean {
  return traffic.protocol === protocol && traffic.port >= first && traffic.port <= last
}

function hasAddress(set: PeerSet, address: Ipv4): boolean {
  switch (set.kind) {
    case 'pods':
      return getElement(set.members, packAddress(address)) !== undefined
    case 'blocks':
      return set.blocks.some((block) => cidrContains(block, address))
    case 'ports':
      return false
  }
}
