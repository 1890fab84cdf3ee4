import type { NativePodNetwork } from '../kube/native-pod-network.ts'
import { noStatus } from '../kube/native-pod-network-status.ts'

/** All nodes together, for metrics. */
export interface NodeTotals {
  readonly nodesByState: Readonly<Record<string, number>>
  readonly addresses: {
    readonly assigned: number
    readonly wanted: number
    readonly used: number
    readonly releasing: number
  }
}

export function totalsOf(npns: Iterable<NativePodNetwork>): NodeTotals {
  const nodesByState: Record<string, number> = { SUCCESS: 0, IN_PROGRESS: 0, BACKOFF: 0, '': 0 }
  const addresses = { assigned: 0, wanted: 0, used: 0, releasing: 0 }
  for (const { status } of npns) {
    const { state = '', elastic } = status.ok ? status.value : noStatus
    nodesByState[state] = (nodesByState[state] ?? 0) + 1
    addresses.assigned += elastic?.assignedAddresses ?? 0
    addresses.wanted += elastic?.wantedAddresses ?? 0
    addresses.used += elastic?.usedAddresses ?? 0
    addresses.releasing += elastic?.releases.length ?? 0
  }
  return { nodesByState, addresses }
}
