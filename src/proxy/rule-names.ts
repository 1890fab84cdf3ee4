import type { L4 } from '../kube/service-port.ts'
import type { Frontend, Masquerade } from './service-table.ts'

// Names in our table. `4` is the address family: a table for IPv6 would have the same with a 6.

export const serviceTableName = 'vcn-services'

export const l4Protocols: readonly L4[] = ['tcp', 'udp', 'sctp']

/**
 * The families of maps: by what a client sends to (an address, or a node port), and whether the client is one for whom a
 * frontend has another answer (`-out`: from outside of this node, where policy is Local).
 */
export type Scope = 'svc4' | 'svc4-out' | 'np4' | 'np4-out'
export const scopes: readonly Scope[] = ['svc4', 'svc4-out', 'np4', 'np4-out']

export function scopeOf({ at }: Frontend, side: 'inside' | 'outside'): Scope {
  if (at.kind === 'node') return side === 'inside' ? 'np4' : 'np4-out'
  return side === 'inside' ? 'svc4' : 'svc4-out'
}

export function isNodeScope(scope: Scope): boolean {
  return scope === 'np4' || scope === 'np4-out'
}

const balancers: Readonly<Record<Scope, string>> = {
  svc4: 'lb4',
  'svc4-out': 'lb4-out',
  np4: 'lb4-np',
  'np4-out': 'lb4-np-out',
}

export function endpointsName(scope: Scope, protocol: L4): string {
  return `${scope}-eps-${protocol}`
}

/** The chain that picks one of so many endpoints, for all frontends that have as many. */
export function balancerName(scope: Scope, protocol: L4, count: number): string {
  return `${balancers[scope]}-${protocol}-${count}`
}

/** The chain that goes by what the client had before, and else picks one. */
export function stickyBalancerName(scope: Scope, protocol: L4, count: number, timeoutSeconds: number): string {
  return `${balancerName(scope, protocol, count)}-for-${timeoutSeconds}`
}

/** Where clients' choices are kept for so long. */
export function affinityName(protocol: L4, timeoutSeconds: number): string {
  return `aff4-${protocol}-${timeoutSeconds}`
}

/** The frontends whose clients' choices are to be kept. */
export function stickyName(kind: 'address' | 'node', protocol: L4, timeoutSeconds: number): string {
  return `${kind === 'address' ? 'sticky4' : 'np4-sticky'}-${protocol}-${timeoutSeconds}`
}

export const masquerades: readonly Masquerade[] = ['all', 'host', 'outside']

/** The frontends with this answer to whose packets get the node's address. */
export function masqueradeName(kind: 'address' | 'node', masquerade: Masquerade): string {
  return `${kind === 'address' ? 'svc4' : 'np4'}-masq-${masquerade}`
}

export const nodeAddressesName = 'node4'
export const hairpinName = 'hairpin4'
/** Frontends that not everybody may use, and who may use them. */
export const guardedName = 'guarded4'
export const admittedName = 'admitted4'
export const refuseChain = 'refuse'
export const learnChain = 'learn'
export const fromOutsideChain = 'from-outside'
