import type { Ipv4 } from '../../base/ip.ts'
import type { NativePodNetwork } from '../../kube/native-pod-network.ts'
import type { JsonObject } from '../../kube/object.ts'

/** What the agent tells the controller, through the node's NativePodNetwork. */
export interface StatusReport {
  readonly usedAddresses: number
  /** Marked addresses that nothing on this node needs any more. */
  readonly confirmable: ReadonlySet<Ipv4>
}

/**
 * The merge patch that brings the report into the status; undefined when all of it is there. It carries the
 * resourceVersion: a controller's change in between is a conflict, and nothing it took back is confirmed. A status that
 * does not parse is left alone.
 */
export function planReport({ metadata, status }: NativePodNetwork, report: StatusReport): JsonObject | undefined {
  if (!status.ok) return undefined
  const { usedAddresses, releases = [] } = status.value.elastic ?? {}
  const confirmed = releases.map((release) =>
    release.state === 'Marked' && report.confirmable.has(release.address)
      ? { ...release, state: 'Confirmed' as const }
      : release,
  )
  const isNews = confirmed.some((release, index) => release !== releases[index])
  if (!isNews && usedAddresses === report.usedAddresses) return undefined
  const elastic = { usedAddresses: report.usedAddresses, ...(isNews && { releases: confirmed }) }
  return { metadata: { resourceVersion: metadata.resourceVersion }, status: { elastic } }
}
