import type { Change } from './claims.ts'
import type { Endpoint, Frontend, FrontendPlace } from './service-table.ts'

/**
 * Conntrack entries of UDP flows to one frontend that are to be deleted: those that are not translated to one of `keep`, also
 * those that are not translated at all (from when nobody served). TCP is left alone: its ends notice.
 */
export interface UdpCleanup {
  readonly at: FrontendPlace
  readonly port: number
  readonly keep: readonly Endpoint[]
}

/** For after the kernel has the change: earlier, a client's next packet would renew the stale entry. */
export function udpCleanups(changes: readonly Change<string, Frontend>[]): readonly UdpCleanup[] {
  return changes.flatMap(({ before, after }) => {
    const frontend = after ?? before
    if (frontend?.protocol !== 'UDP') return []
    const keep = after?.serving ?? []
    return isAnyStale(before, keep) ? [{ at: frontend.at, port: frontend.port, keep }] : []
  })
}

// Where nobody served, or there was no frontend, flows that began then are stuck with that answer.
function isAnyStale(before: Frontend | undefined, keep: readonly Endpoint[]): boolean {
  const served = before?.serving ?? []
  if (served.length === 0) return keep.length > 0
  const kept = new Set(keep.map(textOf))
  return served.some((endpoint) => !kept.has(textOf(endpoint)))
}

function textOf({ address, port }: Endpoint): string {
  return `${address}:${port}`
}
