import { createHash } from 'node:crypto'
import type { AttachmentKey, PodIdentity } from '../base/attachment.ts'

const prefix = 'oci'

/** As nftables writes all names that `hostIfname` may give. */
export const hostIfnamePattern = `${prefix}*`

/**
 * Name of the node's end of a pod's veth pair: `oci` and 11 hex digits.
 *
 * For eth0 of a pod they come from sha1("namespace.pod"), which is how Calico computes the names it expects of
 * workloads (felix, FELIX_INTERFACEPREFIX=oci). Any further interface, or a container without a pod, gets its
 * digits from the container id and the interface name.
 */
export function hostIfname(key: AttachmentKey, pod: PodIdentity | undefined): string {
  const seed =
    pod !== undefined && key.ifname === 'eth0' ? `${pod.namespace}.${pod.name}` : `${key.containerId}/${key.ifname}`
  return prefix + createHash('sha1').update(seed).digest('hex').slice(0, 11)
}

export function isHostIfname(name: string): boolean {
  return /^oci[0-9a-f]{11}$/.test(name)
}
