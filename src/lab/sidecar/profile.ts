import type { Ip } from '../../base/ip.ts'
import type { Destination } from '../../linux/original-destination.ts'

export const sidecarProfiles = ['istio', 'linkerd'] as const
export type SidecarProfile = (typeof sidecarProfiles)[number]

/** What the rules of a mesh expect of its sidecar. */
export interface SidecarConventions {
  readonly inboundPort: number
  readonly outboundPort: number
  readonly uid: number
  readonly gid: number
  /** How a connection that came in goes on to the application. */
  readonly application: (original: Destination) => ApplicationCall
}

export interface ApplicationCall {
  readonly to: Destination
  /** Absent: the kernel's choice. */
  readonly from?: string
}

/** Istio's passthrough address, by which its rules know what not to bring in again; linkerd's rules leave lo alone. */
const passthrough = { ipv4: '127.0.0.6', ipv6: '::6' } as const

export const conventions: Readonly<Record<SidecarProfile, SidecarConventions>> = {
  istio: {
    inboundPort: 15_006,
    outboundPort: 15_001,
    uid: 1337,
    gid: 1337,
    application: (original) => ({ to: original, from: isIpv6(original.address) ? passthrough.ipv6 : passthrough.ipv4 }),
  },
  linkerd: {
    inboundPort: 4143,
    outboundPort: 4140,
    uid: 2102,
    gid: 2102,
    application: ({ address, port }) => ({ to: { address: loopback(address), port } }),
  },
}

function loopback(like: Ip): Ip {
  // The same family, so that an application that listens on one of them is found.
  return (isIpv6(like) ? '::1' : '127.0.0.1') as Ip
}

function isIpv6(address: Ip): boolean {
  return address.includes(':')
}
