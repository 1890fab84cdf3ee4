import type { Cidr } from '../base/cidr.ts'

/** By whose rules a pod's traffic is redirected: the order of what is left alone differs. */
export const profiles = ['istio', 'linkerd', 'generic'] as const
export type Profile = (typeof profiles)[number]

/** All that the rules in a pod's namespace depend on. */
export interface Redirection {
  readonly profile: Profile
  readonly inbound: Inbound
  readonly outbound: Outbound
  /** Whose traffic is the sidecar's own, and is not sent to it again. */
  readonly proxy: { readonly uids: readonly number[]; readonly gids: readonly number[] }
  /** TCP and UDP port 53 of the application go to this port of the sidecar. Absent: they go where they are sent to. */
  readonly dnsPort?: number
  /** Interfaces besides lo that are left alone in both directions. */
  readonly excludedInterfaces: readonly string[]
}

export interface Inbound {
  /** `tproxy` keeps the client's address; `off`: what comes in goes to the application. */
  readonly mode: 'redirect' | 'tproxy' | 'off'
  readonly proxyPort: number
  /** Ports that are redirected; all: but for the excluded ones. */
  readonly ports: PortList
  readonly excludedPorts: readonly PortRange[]
  /** Clients whose connections go to the application. */
  readonly excludedSources: readonly Cidr[]
}

export interface Outbound {
  readonly isOn: boolean
  readonly proxyPort: number
  /** Redirected whatever their address. Empty: `blocks` decide. */
  readonly ports: PortList
  readonly excludedPorts: readonly PortRange[]
  /** Destinations that are redirected; all: but for the excluded ones. */
  readonly blocks: BlockList
  readonly excludedBlocks: readonly Cidr[]
}

export type PortList = 'all' | readonly PortRange[]
export type BlockList = 'all' | readonly Cidr[]

/** Both ends belong to it. */
export interface PortRange {
  readonly from: number
  readonly to: number
}
