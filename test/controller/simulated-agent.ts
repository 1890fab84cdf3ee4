import { setTimeout as sleep } from 'node:timers/promises'
import type { ApiClient } from '../../src/kube/api-client.ts'
import { nativePodNetworks } from '../../src/kube/resources.ts'

const roundMs = 15

/**
 * A node's agent as far as the controller can see it: takes addresses for pods, reports their number, confirms what is
 * marked and unused. It keeps account of every promise that is broken to it.
 */
export class SimulatedAgent implements AsyncDisposable {
  /** Pods that shall have an address. */
  pods = 0
  readonly held = new Set<string>()
  /** Promises that were broken; empty in a right world. */
  readonly violations: string[] = []
  readonly #client: ApiClient
  readonly #npn: string
  readonly #abort = new AbortController()
  readonly #loop: Promise<void>

  constructor(client: ApiClient, npn: string) {
    this.#client = client
    this.#npn = npn
    this.#loop = this.#run()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort(new Error('the agent ends'))
    await this.#loop
  }

  async #run(): Promise<void> {
    try {
      for (;;) {
        await this.#round(this.#abort.signal)
        await sleep(roundMs, undefined, { signal: this.#abort.signal })
      }
    } catch (error) {
      if (!this.#abort.signal.aborted) this.violations.push(String(error))
    }
  }

  async #round(signal: AbortSignal): Promise<void> {
    const found = await this.#client.get(nativePodNetworks, { name: this.#npn }, signal)
    if (!found.ok || !found.value.status.ok) return
    const { vnics, elastic } = found.value.status.value
    const offered = new Set<string>(vnics.flatMap(({ addresses }) => addresses))
    for (const address of this.held) {
      if (!offered.has(address)) this.violations.push(`${address} was taken away from a pod`)
    }
    const releases = elastic?.releases ?? []
    const marked = new Set<string>(releases.map(({ address }) => address))
    for (const address of [...this.held].slice(this.pods)) this.held.delete(address)
    for (const address of offered) {
      if (this.held.size < this.pods && !marked.has(address)) this.held.add(address)
    }
    const confirmed = releases.map((entry) => {
      return this.held.has(entry.address) ? entry : { ...entry, state: 'Confirmed' as const }
    })
    const isNews = confirmed.some(({ state }, at) => state !== releases[at]?.state)
    if (elastic?.usedAddresses === this.held.size && !isNews) return
    const { resourceVersion } = found.value.metadata
    const status = { elastic: { usedAddresses: this.held.size, ...(isNews && { releases: confirmed }) } }
    const body = { metadata: { resourceVersion }, status }
    // A conflict is nothing: the next round reads again.
    await this.#client.patchStatus(nativePodNetworks, { name: this.#npn }, { type: 'merge', body }, signal)
  }
}
