import { cidrAddresses, cidrSize, type Ipv4Cidr } from '../base/cidr.ts'
import type { Ipv4 } from '../base/ip.ts'
import type { CloudVnic, Instance, PrivateIp, Subnet, VnicAttachment } from '../oci/core-services.ts'

/** What the cloud has of one node. */
export interface NodeObservation {
  readonly instance: Instance
  /** VNICs the instance takes, the primary one included; absent when neither it nor its shape tells. */
  readonly vnicLimit?: number
  /** Of the instance, in every state that still counts. */
  readonly attachments: readonly VnicAttachment[]
  /** Also those that are gone: what a retry token is made from. */
  readonly attachmentIds: readonly string[]
  /** Attached, and carrying our tag for this node; others are not ours to touch. */
  readonly vnics: readonly ObservedVnic[]
}

export interface ObservedVnic {
  readonly attachment: VnicAttachment
  readonly vnic: CloudVnic
  readonly subnet: Subnet
  /** Its secondary private IPs that carry our tag, for pods: single addresses and blocks. */
  readonly objects: readonly PrivateIp[]
  /** Others' private IPs on it: they take room, and are not ours to give to pods or to delete. */
  readonly foreignObjects: number
}

/** All addresses of an object; for a block every one of them is a pod's to have. */
export function addressesOf({ cidr }: { readonly cidr: Ipv4Cidr }): readonly Ipv4[] {
  return cidrAddresses(cidr)
}

export function addressCount(vnics: readonly ObservedVnic[]): number {
  return vnics.reduce((sum, { objects }) => sum + objects.reduce((of, { cidr }) => of + cidrSize(cidr), 0), 0)
}

/** An attach or a detach of the instance is under way, and no second one may begin. */
export function isBeingModified({ attachments }: NodeObservation): boolean {
  return attachments.some(({ lifecycleState }) => lifecycleState === 'ATTACHING' || lifecycleState === 'DETACHING')
}
