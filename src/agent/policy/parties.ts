import { type Ip, type Ipv4, isIpv4 } from '../../base/ip.ts'
import { isTerminal } from '../../kube/pod.ts'
import type { PolicyPod } from '../../kube/policy-pod.ts'
import { objectKey } from '../../kube/object.ts'
import type { Party } from '../../policy/decide-flow.ts'

/** Whose these addresses are, as far as pods tell: those on a node's own network tell the node's. */
export function partiesByAddress(
  wanted: ReadonlySet<Ip>,
  pods: Iterable<PolicyPod>,
): ReadonlyMap<Ipv4, Exclude<Party, { readonly kind: 'outside' }>> {
  const parties = new Map<Ipv4, Exclude<Party, { readonly kind: 'outside' }>>()
  for (const pod of pods) {
    for (const address of pod.addresses) {
      if (!wanted.has(address) || !isIpv4(address)) continue
      // An address may be handed on before the object of the pod that had it is gone.
      if (isTerminal(pod) && parties.has(address)) continue
      parties.set(address, partyOf(pod, address))
    }
  }
  return parties
}

function partyOf({ hostNetwork, nodeName, metadata }: PolicyPod, address: Ipv4) {
  return hostNetwork
    ? ({ kind: 'node', name: nodeName ?? address, address } as const)
    : ({ kind: 'pod', key: objectKey(metadata), address } as const)
}
