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

/** The display name of a VNIC that nobody else named. */
export function vnicName(ordinal: number): string {
  return `vcn-cni-${ordinal}`
}
