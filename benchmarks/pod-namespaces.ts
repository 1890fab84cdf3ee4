import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { parseMac } from '../src/base/mac.ts'
import { unwrap } from '../src/base/result.ts'
import { createVeth, decodeLink, getLink } from '../src/linux/netlink/link.ts'
import { NetlinkSocket } from '../src/linux/netlink/socket.ts'
import { createNamedNetns, openNetns, removeNamedNetns, withNetns } from '../src/linux/netns.ts'
import type { Sandbox } from './cni-plugin.ts'

const canary = { name: 'canary', mac: unwrap(parseMac('02:00:00:00:00:01')), mtuBytes: 1500 }
const pollMs = 5
const teardownTimeoutMs = 60_000

/** Empty network namespaces, as a container runtime makes them for pods. They are gone when the scope has ended. */
export class PodNamespaces implements AsyncDisposable {
  /** A container in each. */
  readonly sandboxes: readonly Sandbox[]
  readonly #witnessPath: string

  private constructor(sandboxes: readonly Sandbox[], witnessPath: string) {
    this.sandboxes = sandboxes
    this.#witnessPath = witnessPath
  }

  /** `witnessPath`: a namespace that outlives these; it sees when the kernel has taken them down. */
  static async make(count: number, witnessPath: string): Promise<PodNamespaces> {
    const prefix = `bench-${randomBytes(4).toString('hex')}`
    const sandboxes: Sandbox[] = []
    try {
      for (let index = 0; index < count; index++) {
        const containerId = `${prefix}-${index}`
        sandboxes.push({ containerId, netnsPath: createNamedNetns(containerId) })
      }
      return new PodNamespaces(sandboxes, witnessPath)
    } catch (error) {
      await new PodNamespaces(sandboxes, witnessPath)[Symbol.asyncDispose]()
      throw error
    }
  }

  // The kernel takes namespaces down in the background, in the order of their removal (net/core/net_namespace.c,
  // cleanup_net), which costs the processors more than what is measured next. An interface of the last one tells when.
  async [Symbol.asyncDispose](): Promise<void> {
    const last = this.sandboxes.at(-1)
    if (last === undefined) return
    using socket = this.#removeNames(last.netnsPath)
    await awaitEndOf(canary.name, socket)
  }

  /** Returns a socket in the witness, which loses its end of a veth pair with the last namespace. */
  #removeNames(last: string): NetlinkSocket {
    try {
      using witness = unwrap(openNetns(this.#witnessPath))
      using end = unwrap(openNetns(last))
      const socket = withNetns(witness, () => new NetlinkSocket())
      const made = socket.request([createVeth(canary, { ...canary, netnsFd: end.number })])
      if (!made.ok) throw new AggregateError(made.error, `${last}: ${made.error.map(String).join('; ')}`)
      return socket
    } finally {
      for (const { containerId } of this.sandboxes) removeNamedNetns(containerId)
    }
  }
}

async function awaitEndOf(linkName: string, socket: NetlinkSocket): Promise<void> {
  const deadlineMs = performance.now() + teardownTimeoutMs
  while (socket.get(getLink({ name: linkName }), decodeLink).ok) {
    if (performance.now() > deadlineMs) throw new Error(`${linkName} is still there after ${teardownTimeoutMs} ms`)
    await delay(pollMs)
  }
}
