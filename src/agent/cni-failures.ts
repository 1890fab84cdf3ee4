import type { PodIdentity } from '../base/attachment.ts'
import { type CniError, cniError } from '../cni/errors.ts'
import type { AddRequest } from '../cni/request.ts'
import type { DatapathFailure } from '../datapath/apply.ts'
import type { AttachFailure } from '../datapath/attach.ts'
import { type AllocationError, describeAllocationError } from '../ipam/allocator.ts'
import type { NetnsProblem } from '../linux/netns.ts'

// The one place where the other rooms' failures become CNI errors.

export function netnsRefused(path: string, problem: NetnsProblem | 'own'): CniError {
  const sentences = {
    missing: 'does not exist',
    'not-a-network-namespace': 'is not a network namespace',
    own: 'is the node’s own network namespace; a pod needs one of its own',
  } as const
  return cniError('INVALID_ENVIRONMENT', `CNI_NETNS: ${JSON.stringify(path)} ${sentences[problem]}`)
}

export function allocationRefused(error: AllocationError): CniError {
  const sentence = describeAllocationError(error)
  switch (error.kind) {
    // An address becomes free when a pod goes or a cooldown ends: the runtime is to try again.
    case 'pool-empty':
    case 'cooling':
      return cniError('TRY_AGAIN_LATER', sentence)
    case 'not-on-node':
    case 'in-use':
    case 'reserved':
      return cniError('ADDRESS_UNAVAILABLE', sentence)
  }
}

export function attachRefused(failure: AttachFailure, { key, netns }: Pick<AddRequest, 'key' | 'netns'>): CniError {
  switch (failure.kind) {
    case 'pod-name-taken':
      return cniError('INTERFACE_EXISTS', `CNI_IFNAME: ${failure.ifname} exists in ${netns} already`)
    case 'host-name-taken': {
      const { name, ifindex, alias } = failure.link
      const owner = alias === undefined ? 'not made by vcn-cni' : `of ${JSON.stringify(alias)}`
      return cniError('INTERFACE_EXISTS', `the node has an interface ${name} (index ${ifindex}) already, ${owner}`)
    }
    case 'ifindex-taken':
      return cniError('TRY_AGAIN_LATER', `no free interface index was found for ${key.ifname}`)
    case 'refused':
      return kernelRefused(failure.failures)
  }
}

/** The pod would have been open to all, so that it has not become one. */
export function notIsolated(pod: PodIdentity | undefined, because: string): CniError {
  const whose = pod === undefined ? 'the container' : `pod ${pod.namespace}/${pod.name}`
  return cniError(
    'TRY_AGAIN_LATER',
    `network policies for ${whose} are not in force: ${because}`,
    'The runtime retries by itself. If it lasts, `vcnctl status` on the node tells what network policy waits for.',
  )
}

export function kernelRefused(failures: readonly DatapathFailure[]): CniError {
  return cniError('KERNEL_REFUSED', failures.map(({ operation, error }) => `${operation}: ${error.message}`).join('; '))
}
