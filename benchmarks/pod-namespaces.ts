import { setTimeout as delay } from 'node:timers/promises'
import { parseMac } from '../src/base/mac.ts'
import { unwrap } from '../src/base/result.ts'
import { createVeth, decodeLink, getLink } from '../src/linux/netlink/link.ts'
import { NetlinkSocket } from '../src/linux/netlink/socket.ts'
import { createNamedNetns, openNetns, removeNamedNetns, withNetns } from '../src/linux/netns.ts'

const canary = { name: 'canary', mac: unwrap(parseMac('02:00:00:00:00:01')), mtuBytes: 1500 }
const pollMs = 5
const teardownTimeoutMs = 60_000

/** Empty network namespaces, as a container runtime makes them for pods. They are gone when the scope has ended. */
export class PodNamespaces implements AsyncDisposable {
  readonly #witnessPath: string
  readonly #names: string[] = []
  readonly #paths: string[] = []

  /** `witnessPath`: a namespace that outlives these; it sees when the kernel has taken them down. */
  private constructor(witnessPath: string) {
    this.#witnessPath = witnessPath
  }

  static async make(prefix: string, count: number, witnessPath: string): Promise<PodNamespaces> {
    const made = new PodNamespaces(witnessPath)
    try {
      for (let index = 0; index < count; index++) made.#add(`${prefix}-${index}`)
      return made
    } catch (error) {
      await made[Symbol.asyncDispose]()
      throw error
    }
  }

  get paths(): readonly string[] {
    return this.#paths
  }

  #add(name: string): void {
    this.#paths.push(createNamedNetns(name))
    this.#names.push(name)
  }

  // The kernel takes namespaces down in the background, in the order of their removal (net/core/net_namespace.c,
  // cleanup_net), which costs the processors more than what is measured next. An interface of the last one tells when.
  async [Symbol.asyncDispose](): Promise<void> {
    const last = this.#paths.at(-1)
    if (last === undefined) return
    using socket = this.#removeNames(last)
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
      for (const name of this.#names) removeNamedNetns(name)
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
