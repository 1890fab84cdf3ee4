import type { Ipv4Cidr } from '../../base/cidr.ts'
import type { Ipv4 } from '../../base/ip.ts'
import type { Mac } from '../../base/mac.ts'
import type {
  InstanceState,
  Shape,
  SubnetState,
  Tags,
  VnicAttachmentState,
  VnicState,
} from '../../oci/core-services.ts'
import type {
  CompartmentOcid,
  InstanceOcid,
  NsgOcid,
  PrivateIpOcid,
  SubnetOcid,
  VcnOcid,
  VnicAttachmentOcid,
  VnicOcid,
} from '../../oci/ocid.ts'

// What the emulated cloud knows of its resources.

interface Owned {
  readonly compartmentId: CompartmentOcid
  readonly displayName: string
  readonly tags: Tags
  readonly createdAtMs: number
}

export interface VcnRecord extends Owned {
  readonly id: VcnOcid
  readonly cidrs: readonly Ipv4Cidr[]
}

export interface SubnetRecord extends Owned {
  readonly id: SubnetOcid
  readonly vcnId: VcnOcid
  readonly cidrs: readonly Ipv4Cidr[]
  readonly routerIp: Ipv4
  readonly routerMac: Mac
  readonly lifecycleState: SubnetState
  /** Absent: the subnet is regional. */
  readonly availabilityDomain?: string
  /** It goes through UPDATING once, with the first block that is taken from its first CIDR. */
  readonly hasHadBlock: boolean
}

export interface NsgRecord extends Owned {
  readonly id: NsgOcid
  readonly vcnId: VcnOcid
}

export type ShapeRecord = Shape & { readonly id: string }

export interface InstanceRecord extends Owned {
  readonly id: InstanceOcid
  readonly availabilityDomain: string
  readonly lifecycleState: InstanceState
  readonly shape: string
  readonly ocpus: number
  readonly metadata: Readonly<Record<string, string>>
}

export interface AttachmentRecord extends Owned {
  readonly id: VnicAttachmentOcid
  readonly instanceId: InstanceOcid
  readonly subnetId: SubnetOcid
  readonly lifecycleState: VnicAttachmentState
  readonly nicIndex: number
  readonly vnicId: VnicOcid
  readonly vlanTag: number
}

export interface VnicRecord extends Owned {
  readonly id: VnicOcid
  readonly instanceId: InstanceOcid
  readonly subnetId: SubnetOcid
  readonly lifecycleState: VnicState
  readonly mac: Mac
  readonly isPrimary: boolean
  readonly primaryAddress: Ipv4
  readonly nsgIds: readonly NsgOcid[]
  readonly skipSourceDestCheck: boolean
  readonly vlanTag: number
  readonly nicIndex: number
}

export interface PrivateIpRecord extends Owned {
  readonly id: PrivateIpOcid
  readonly subnetId: SubnetOcid
  /** Absent for a reserved one that no VNIC has. */
  readonly vnicId?: VnicOcid
  /** A single address is a /32. */
  readonly cidr: Ipv4Cidr
  readonly isPrimary: boolean
  readonly lifetime: 'EPHEMERAL' | 'RESERVED'
  readonly hostnameLabel?: string
}
