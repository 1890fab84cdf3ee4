import type { ObjectCache } from '../kube/cache.ts'
import type { NpnStatus } from '../kube/native-pod-network-status.ts'
import type { KubeNode } from '../kube/node.ts'
import { needsAddress, type Pod } from '../kube/pod.ts'
import { type InstanceOcid, parseInstanceOcid } from '../oci/ocid.ts'
import type { Demand } from './node-plan.ts'

export const podsByNode = 'node'

/** How many addresses a node needs now: what its agent reports, and what Kubernetes has put on it. */
export function demandOf(
  node: KubeNode | undefined,
  status: Pick<NpnStatus, 'elastic'>,
  pods: Pick<ObjectCache<Pod>, 'byIndex'>,
): Demand {
  const here = node === undefined ? [] : pods.byIndex(podsByNode, node.metadata.name).filter(needsAddress)
  return {
    used: status.elastic?.usedAddresses ?? 0,
    pods: here.length,
    podAddresses: new Set(here.flatMap(({ podIps }) => podIps)),
  }
}

/** `spec.providerID` as Oracle's cloud controller manager writes it, with or without the scheme. */
export function instanceOf({ providerId }: Pick<KubeNode, 'providerId'>): InstanceOcid | undefined {
  const parsed = parseInstanceOcid((providerId ?? '').replace(/^oci:\/\//, ''))
  return parsed.ok ? parsed.value : undefined
}
