import type { Brand } from './brand.ts'
import type { Ipv4Cidr } from './cidr.ts'
import type { Ipv4 } from './ip.ts'
import type { Mac } from './mac.ts'

/** The VNIC's OCID, or any unique name in a hand-written file. */
export type VnicId = Brand<string, 'VnicId'>

/** A VNIC of this node and the addresses the VCN delivers to it. */
export interface Vnic {
  readonly id: VnicId
  /** Interfaces are found by it: names and nicIndex differ by image and shape. */
  readonly mac: Mac
  /** The primary VNIC carries the node's own traffic and default route; the node configures it, not we. */
  readonly isPrimary: boolean
  readonly subnetCidr: Ipv4Cidr
  readonly routerIp: Ipv4
  /** The VNIC's own private address, never given to a pod. */
  readonly primaryAddress?: Ipv4
  /** Secondary private addresses, for pods. */
  readonly addresses: readonly Ipv4[]
}
