import { setImmediate } from 'node:timers/promises'
import { unwrap } from '../../base/result.ts'
import {
  type ConntrackEntry,
  type ConntrackFilter,
  decodeConntrack,
  deleteConntrack,
  dumpConntrack,
  passesFilter,
} from './conntrack.ts'
import {
  type ConntrackCount,
  type ConntrackCounters,
  decodeConntrackCount,
  decodeConntrackCounters,
  dumpConntrackCounters,
  getConntrackCount,
  sumConntrackCounters,
} from './conntrack-statistics.ts'
import { NETLINK_NETFILTER } from './nfnetlink.ts'
import { NetlinkSocket } from './socket.ts'

const receiveBytes = 64 * 1024
/** Deletions between two turns of the event loop. */
const deletionsAtOnce = 512

/**
 * The connections of the namespace that it was opened in: call the constructor within `withNetns` for another one. One
 * caller at a time.
 */
export class ConntrackTable implements Disposable {
  readonly #socket = new NetlinkSocket(receiveBytes, NETLINK_NETFILTER)

  /**
   * The entries that `isWanted`, of those that pass the filter. Others are dropped as they come, so that a table of
   * hundreds of thousands needs no memory. `isWanted` may be asked twice about an entry.
   */
  async select(
    filter: ConntrackFilter,
    isWanted: (entry: ConntrackEntry) => boolean,
  ): Promise<readonly ConntrackEntry[]> {
    return this.#socket.dumpGradually(dumpConntrack(filter), (body) => {
      const entry = decodeConntrack(body)
      return entry !== undefined && passesFilter(entry, filter) && isWanted(entry) ? entry : undefined
    })
  }

  /** How many were still there. Throws NetlinkError for any other refusal than ENOENT; the others are deleted then. */
  async delete(entries: readonly ConntrackEntry[]): Promise<number> {
    let gone = 0
    for (let start = 0; start < entries.length; start += deletionsAtOnce) {
      if (start > 0) await setImmediate()
      const result = this.#socket.request(entries.slice(start, start + deletionsAtOnce).map(deleteConntrack))
      if (result.ok) continue
      for (const failure of result.error) if (failure.code !== 'ENOENT') throw failure
      gone += result.error.length
    }
    return entries.length - gone
  }

  count(): ConntrackCount {
    return unwrap(this.#socket.get(getConntrackCount(), decodeConntrackCount))
  }

  /** Sums of all processors. */
  counters(): ConntrackCounters {
    return sumConntrackCounters(this.#socket.dump(dumpConntrackCounters(), decodeConntrackCounters))
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]()
  }
}
