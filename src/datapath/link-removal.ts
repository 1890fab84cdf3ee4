import { err, ok, type Result } from '../base/result.ts'
import { decodeLink, deleteLink, getLink } from '../linux/netlink/link.ts'
import { NetlinkSocket } from '../linux/netlink/socket.ts'
import type { DatapathFailure } from './apply.ts'

const acksBytes = 8192

/**
 * Removes interfaces without waiting for the end of the system call: DELLINK holds its caller for 20 ms in
 * rcu_barrier after the interface is gone and its notification is out. Whoever reads the notifications of the
 * namespace reports them to `noticeDeleted`; should one be lost, the call's own return completes the removal.
 */
export class LinkRemover {
  readonly #node: NetlinkSocket
  readonly #waiting = new Map<number, () => void>()
  readonly #running = new Set<Promise<unknown>>()

  constructor(node: NetlinkSocket) {
    this.#node = node
  }

  isRemoving(ifindex: number): boolean {
    return this.#waiting.has(ifindex)
  }

  noticeDeleted(ifindex: number): void {
    this.#waiting.get(ifindex)?.()
  }

  /** An index that another interface has by now, or none, is 'absent': nothing is removed by index alone. */
  async remove(link: {
    readonly ifindex: number
    readonly name: string
  }): Promise<Result<'removed' | 'absent', DatapathFailure>> {
    const { ifindex, name } = link
    const present = this.#node.get(getLink({ ifindex }), decodeLink)
    if (!present.ok || present.value.name !== name) return ok('absent')
    const noticed = new Promise<'noticed'>((resolve) => this.#waiting.set(ifindex, () => resolve('noticed')))
    const call = this.#call(ifindex)
    this.#running.add(call)
    const noteReturn = (): void => void this.#running.delete(call)
    call.then(noteReturn, noteReturn)
    try {
      const outcome = await Promise.race([noticed, call])
      if (outcome === 'noticed' || outcome.ok) return ok('removed')
      const [error] = outcome.error
      if (error === undefined || error.code === 'ENODEV') return ok('absent')
      return err({ operation: `deleting interface ${name}`, error })
    } finally {
      this.#waiting.delete(ifindex)
    }
  }

  /** Waits until no system call of a removal is running any more. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#running)
  }

  // A socket of its own: its acknowledgement must not be taken by the next request on a shared one.
  async #call(ifindex: number): ReturnType<NetlinkSocket['requestBlocking']> {
    using socket = new NetlinkSocket(acksBytes)
    return await socket.requestBlocking(deleteLink(ifindex))
  }
}
