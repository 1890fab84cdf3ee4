import { type Cidr, hostCidr } from '../base/cidr.ts'
import type { Redirection } from './redirection.ts'
import { passthrough } from './rule-parts.ts'

/** Routing that TPROXY needs in the pod's namespace, for both families. */
export interface RedirectionRouting {
  /** Packets with this mark are looked up in `table`. */
  readonly mark: number
  /** Of the rule. */
  readonly priority: number
  /** Its only route: everything (0.0.0.0/0, ::/0) is local, device lo. */
  readonly table: number
}

/** Istio's number (pilot's INBOUND_TPROXY_MARK): sidecars set it on what they send to the application. */
export const tproxyMark = 1337

/**
 * A sidecar that keeps the client's address sends with it to the application, whose answers to it must come back to the
 * sidecar: they are marked, and local. Ahead of every other rule but the one for local addresses.
 */
export function redirectionRouting(redirection: Redirection): RedirectionRouting | undefined {
  return redirection.inbound.mode === 'tproxy' ? { mark: tproxyMark, priority: 1, table: 133 } : undefined
}

/**
 * What lo must have besides its own addresses: Istio's sidecar sends from ::6 to the application. Its IPv4 counterpart
 * 127.0.0.6 is lo's already.
 */
export function loopbackAddresses({ profile, inbound }: Redirection): readonly Cidr[] {
  return profile === 'istio' && inbound.mode !== 'off' ? [hostCidr(passthrough.ip6)] : []
}
