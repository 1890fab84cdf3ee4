import { createHash } from 'node:crypto'
import type { PolicyDirection } from './policy-table.ts'

export const policyTableName = 'vcn-policy'

/**
 * Which packets of a flow are judged: those of the direction that opened it, or its replies. A reply is judged by the rules
 * of the direction that it answers, with source and destination exchanged.
 */
export type FlowWay = 'there' | 'back'
export const flowWays: readonly FlowWay[] = ['there', 'back']
type ByWay = Readonly<Record<PolicyDirection, Readonly<Record<FlowWay, string>>>>

/** Interfaces to what judges their packets. Replies to what a pod sent go to it, those to what it got come from it. */
export const dispatchNames: ByWay = {
  egress: { there: 'from-pod', back: 'replies-to-pod' },
  ingress: { there: 'to-pod', back: 'replies-from-pod' },
}
export const deniedChains: ByWay = {
  egress: { there: 'denied-egress', back: 'denied-egress-replies' },
  ingress: { there: 'denied-ingress', back: 'denied-ingress-replies' },
}
/** Which addresses may come from which interface. */
export const sourcesName = 'pod-sources'
/** A pod's interface beside itself: what goes back to where it came from, through a Service. */
export const itselfName = 'pod-itself'
export const spoofedChain = 'spoofed'

/** Why a packet of a pod was dropped. */
export type DropReason = PolicyDirection | 'spoofed'
/** Counters by the interface of the pod whose policy denied, or whose source address was not its own. */
export const dropsNames: Readonly<Record<DropReason, string>> = {
  egress: 'drops-egress',
  ingress: 'drops-ingress',
  spoofed: 'drops-spoofed',
}
/** Which flows were denied last: learned, with counters. Elements of `deniedFlowKey`. */
export const deniedFlowsNames: Readonly<Record<PolicyDirection, string>> = {
  egress: 'denied-egress-flows',
  ingress: 'denied-ingress-flows',
}
/** Source, destination, protocol and destination port (0 of a protocol without ports), as of the packet that opens it. */
export const deniedFlowKey = ['ipv4_addr', 'ipv4_addr', 'inet_proto', 'inet_service'] as const

/** Flows whose packets policies allow, as of the packet that opens them: learned, until anything changes. */
export const allowedFlowsNames: Readonly<Record<PolicyDirection, string>> = {
  egress: 'allowed-egress-flows',
  ingress: 'allowed-ingress-flows',
}
export const allowedChains: Readonly<Record<PolicyDirection, string>> = {
  egress: 'allowed-egress',
  ingress: 'allowed-ingress',
}

/** What rules are shared by, as a part of a chain's name. */
export type ChainKind = 'pod' | 'admin' | 'policy' | 'baseline'

/** `key` says all that makes the chain another one, but for the text of the policies. */
export function chainName(kind: ChainKind, direction: PolicyDirection, way: FlowWay, key: string): string {
  return `${direction}-${way === 'there' ? '' : 'replies-'}${kind}-${shortHash(key)}`
}

export function peerSetName(key: string): string {
  return `peers-${shortHash(key)}`
}

export function portListName(text: string): string {
  return `ports-${shortHash(text)}`
}

// 64 bits: even a million names have no two alike but once in 40 million clusters.
function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16)
}
