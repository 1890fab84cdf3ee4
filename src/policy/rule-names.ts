import { createHash } from 'node:crypto'
import type { PolicyDirection } from './policy-table.ts'

export const policyTableName = 'vcn-policy'

/** Interfaces to the chains of their pods: for what comes from the pod, and for what goes to it. */
export const dispatchNames: Readonly<Record<PolicyDirection, string>> = { egress: 'from-pod', ingress: 'to-pod' }
/** Which addresses may come from which interface. */
export const sourcesName = 'pod-sources'
/** A pod's interface beside itself: what goes back to where it came from, through a Service. */
export const itselfName = 'pod-itself'
export const deniedChain = 'denied'

/** What rules are shared by, as the start of a chain's name. */
export type ChainKind = 'pod' | 'admin' | 'policy' | 'baseline'

/** `key` says all that makes the chain another one, but for the text of the policies. */
export function chainName(kind: ChainKind, direction: PolicyDirection, key: string): string {
  return `${direction}-${kind}-${shortHash(key)}`
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
