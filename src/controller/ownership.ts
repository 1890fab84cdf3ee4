import type { Tags } from '../oci/core-services.ts'
import type { InstanceOcid } from '../oci/ocid.ts'

// Freeform tags of everything that the controller makes. What does not carry them is never changed or deleted.
const clusterTag = 'vcn-cni/cluster'
const nodeTag = 'vcn-cni/node'

export function ownerTags(cluster: string, instanceId: InstanceOcid): Tags {
  return { [clusterTag]: cluster, [nodeTag]: instanceId }
}

export function isOurs({ tags }: { readonly tags: Tags }, cluster: string, instanceId: InstanceOcid): boolean {
  return tags[clusterTag] === cluster && tags[nodeTag] === instanceId
}

export function isOfCluster({ tags }: { readonly tags: Tags }, cluster: string): boolean {
  return tags[clusterTag] === cluster
}

const namePrefix = 'vcn-cni-'

/** The name of an attachment of ours, and of its VNIC where nobody else named that. */
export function vnicName(ordinal: number): string {
  return `${namePrefix}${ordinal}`
}

/** Only a hint: what is ours is told by the VNIC's tags. */
export function isNamedByUs({ displayName }: { readonly displayName?: string }): boolean {
  return displayName?.startsWith(namePrefix) === true
}
