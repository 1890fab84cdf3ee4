import type { Ipv4Cidr } from '../base/cidr.ts'
import type { Ipv4 } from '../base/ip.ts'
import type { Mac } from '../base/mac.ts'
import type { Result } from '../base/result.ts'
import type { OciError } from './oci-error.ts'
import type {
  CompartmentOcid,
  InstanceOcid,
  NsgOcid,
  PrivateIpOcid,
  SubnetOcid,
  VcnOcid,
  VnicAttachmentOcid,
  VnicOcid,
} from './ocid.ts'

export type OciResult<T> = Promise<Result<T, OciError>>

/**
 * The part of Oracle's Core Services API that the project uses. Lists are complete: paging happens inside.
 * When `signal` aborts, the promise is rejected with its reason; everything else that can go wrong is in the result.
 * `retryToken` (at most 64 characters): the same token within 24 hours answers the same resource, so that a repeat
 * after a lost answer makes no second one.
 */
export interface CoreServices {
  getInstance(id: InstanceOcid, signal: AbortSignal): OciResult<Instance>
  listInstances(query: InstanceQuery, signal: AbortSignal): OciResult<readonly Instance[]>
  listShapes(query: ShapeQuery, signal: AbortSignal): OciResult<readonly Shape[]>

  /** Also those that are being detached, or were a while ago. */
  listVnicAttachments(query: VnicAttachmentQuery, signal: AbortSignal): OciResult<readonly VnicAttachment[]>
  /** Answers at once with an attachment in state ATTACHING, whose VNIC is not known yet. */
  attachVnic(wish: AttachVnic, retryToken: string, signal: AbortSignal): OciResult<VnicAttachment>
  getVnicAttachment(id: VnicAttachmentOcid, signal: AbortSignal): OciResult<VnicAttachment>
  /** Also deletes the VNIC and all its addresses. Answers at once; the attachment is DETACHING for a while. */
  detachVnic(id: VnicAttachmentOcid, signal: AbortSignal): OciResult<void>

  getVnic(id: VnicOcid, signal: AbortSignal): OciResult<CloudVnic>
  updateVnic(id: VnicOcid, change: VnicChange, signal: AbortSignal): OciResult<CloudVnic>

  listPrivateIps(query: PrivateIpQuery, signal: AbortSignal): OciResult<readonly PrivateIp[]>
  createPrivateIp(wish: CreatePrivateIp, retryToken: string, signal: AbortSignal): OciResult<PrivateIp>
  /** Refused for a VNIC's primary address. */
  deletePrivateIp(id: PrivateIpOcid, signal: AbortSignal): OciResult<void>

  getSubnet(id: SubnetOcid, signal: AbortSignal): OciResult<Subnet>
  getVcn(id: VcnOcid, signal: AbortSignal): OciResult<Vcn>
  /** Of each block of the subnet, how much is in use. */
  listSubnetCidrUtilisation(id: SubnetOcid, signal: AbortSignal): OciResult<readonly CidrUtilisation[]>

  getNetworkSecurityGroup(id: NsgOcid, signal: AbortSignal): OciResult<NetworkSecurityGroup>
  /** The VNICs that really are in the group, whatever was asked for at their creation. */
  listNsgVnics(id: NsgOcid, signal: AbortSignal): OciResult<readonly VnicOcid[]>
}

export type Tags = Readonly<Record<string, string>>

export interface InstanceQuery {
  readonly compartmentId: CompartmentOcid
  readonly availabilityDomain?: string
  readonly lifecycleState?: InstanceState
}

export interface ShapeQuery {
  readonly compartmentId: CompartmentOcid
  readonly availabilityDomain?: string
  /** Name of the one shape wanted, such as VM.Standard.E5.Flex. */
  readonly shape?: string
}

export interface VnicAttachmentQuery {
  readonly compartmentId: CompartmentOcid
  readonly instanceId?: InstanceOcid
  readonly vnicId?: VnicOcid
}

/** By VNIC, by subnet, or one address of a subnet. */
export type PrivateIpQuery = { readonly vnicId: VnicOcid } | { readonly subnetId: SubnetOcid; readonly address?: Ipv4 }

export interface AttachVnic {
  readonly instanceId: InstanceOcid
  readonly subnetId: SubnetOcid
  readonly nsgIds: readonly NsgOcid[]
  /** Of the VNIC. */
  readonly displayName: string
  /** Of the attachment; the VNIC's when absent. */
  readonly attachmentName?: string
  /** True for VNICs that carry pods: their packets are from addresses other than the VNIC's own. */
  readonly skipSourceDestCheck: boolean
  /** The physical card, on shapes that have several. */
  readonly nicIndex?: number
  /** The VNIC's own address; the API picks one when absent. */
  readonly address?: Ipv4
  /** Of the VNIC. The attachment itself carries none. */
  readonly tags: Tags
}

export interface VnicChange {
  readonly nsgIds?: readonly NsgOcid[]
  readonly skipSourceDestCheck?: boolean
  readonly tags?: Tags
  /** Change only what still has this etag (`CloudVnic.etag`); otherwise the error is etagMismatch. */
  readonly ifMatch?: string
}

export interface CreatePrivateIp {
  readonly vnicId: VnicOcid
  /** The address, or the first one of the block; the API picks when absent. */
  readonly address?: Ipv4
  /** A block of this prefix length (18–30) as one object; a single address when absent. */
  readonly cidrPrefixLength?: number
  readonly displayName?: string
  readonly tags: Tags
}

export type InstanceState =
  | 'MOVING'
  | 'PROVISIONING'
  | 'RUNNING'
  | 'STARTING'
  | 'STOPPING'
  | 'STOPPED'
  | 'CREATING_IMAGE'
  | 'TERMINATING'
  | 'TERMINATED'

export interface Instance {
  readonly id: InstanceOcid
  readonly compartmentId: CompartmentOcid
  readonly availabilityDomain: string
  readonly displayName: string
  readonly lifecycleState: InstanceState
  readonly shape: string
  readonly shapeConfig: {
    readonly ocpus?: number
    /** How many VNICs this instance takes, the primary one included. */
    readonly maxVnicAttachments?: number
  }
  /** User metadata: a node pool's wishes are in it (`oke-max-pods`, `pod-subnets`, …). */
  readonly metadata: Readonly<Record<string, string>>
  readonly tags: Tags
}

export interface Shape {
  readonly name: string
  /** Absent where the number depends on the OCPUs. */
  readonly maxVnicAttachments?: number
  readonly maxVnicAttachmentOptions?: {
    readonly min?: number
    readonly max?: number
    readonly defaultPerOcpu?: number
  }
}

export type VnicAttachmentState = 'ATTACHING' | 'ATTACHED' | 'DETACHING' | 'DETACHED'

/** A failed attach goes from ATTACHING to DETACHING and DETACHED. */
export interface VnicAttachment {
  readonly id: VnicAttachmentOcid
  readonly instanceId: InstanceOcid
  readonly compartmentId: CompartmentOcid
  readonly lifecycleState: VnicAttachmentState
  readonly displayName?: string
  readonly subnetId?: SubnetOcid
  readonly nicIndex?: number
  /** Known only once it is ATTACHED. */
  readonly vnicId?: VnicOcid
  readonly vlanTag?: number
}

export type VnicState = 'PROVISIONING' | 'AVAILABLE' | 'TERMINATING' | 'TERMINATED'

export interface CloudVnic {
  readonly id: VnicOcid
  readonly compartmentId: CompartmentOcid
  readonly lifecycleState: VnicState
  readonly displayName?: string
  readonly mac?: Mac
  readonly isPrimary: boolean
  readonly subnetId?: SubnetOcid
  /** The VNIC's own address, itself one of the objects of listPrivateIps. */
  readonly privateIp?: Ipv4
  readonly nsgIds: readonly NsgOcid[]
  readonly skipSourceDestCheck: boolean
  readonly tags: Tags
  readonly etag?: string
}

export interface PrivateIp {
  readonly id: PrivateIpOcid
  /** A single address is a /32. */
  readonly cidr: Ipv4Cidr
  readonly isPrimary: boolean
  readonly subnetId: SubnetOcid
  /** Absent for a reserved address that no VNIC has. */
  readonly vnicId?: VnicOcid
  readonly displayName?: string
  readonly tags: Tags
}

export type SubnetState = 'PROVISIONING' | 'AVAILABLE' | 'TERMINATING' | 'TERMINATED' | 'UPDATING'

export interface Subnet {
  readonly id: SubnetOcid
  readonly vcnId: VcnOcid
  readonly compartmentId: CompartmentOcid
  readonly displayName?: string
  /** Until it is AVAILABLE again, every call about addresses in it fails with incorrectState. */
  readonly lifecycleState: SubnetState
  readonly ipv4Cidrs: readonly Ipv4Cidr[]
  readonly virtualRouterIp: Ipv4
  readonly virtualRouterMac: Mac
  /** Absent for a regional subnet. */
  readonly availabilityDomain?: string
}

export interface Vcn {
  readonly id: VcnOcid
  readonly compartmentId: CompartmentOcid
  readonly displayName?: string
  readonly ipv4Cidrs: readonly Ipv4Cidr[]
}

export interface CidrUtilisation {
  readonly cidr: Ipv4Cidr
  /** 0–100. */
  readonly usedPercent: number
}

export interface NetworkSecurityGroup {
  readonly id: NsgOcid
  readonly vcnId: VcnOcid
  readonly displayName?: string
}
