import type { Ipv4 } from '../../base/ip.ts'
import type { Logger } from '../../base/logger.ts'
import { err, ok, type Result } from '../../base/result.ts'
import type { NativePodNetwork } from '../../kube/native-pod-network.ts'
import type { AddressRelease } from '../../kube/native-pod-network-status.ts'
import type { Random, Scheduler } from '../../kube/scheduler.ts'
import { readNetworkFile, writeNetworkFile } from './network-file.ts'
import { isSameView, type NetworkView, releasedAddresses, viewNetwork } from './network-view.ts'
import { PokedWorker } from './poked-worker.ts'

export interface ViewKeeperOptions {
  /** The file. */
  readonly path: string
  /** `view` or `releasing` are new. */
  readonly onChange: () => void
  readonly scheduler: Scheduler
  readonly random: Random
  readonly logger: Logger
}

export type ViewOrigin = 'none' | 'disk' | 'api'

/**
 * Holds the last good view of the NativePodNetwork that the agent goes by. A new one is on disk before it is acted upon,
 * so that an agent that starts while the API server is away knows no less than the one before it.
 */
export class ViewKeeper {
  readonly worker: PokedWorker
  readonly #options: ViewKeeperOptions
  #recorded: NetworkView | undefined
  #view: NetworkView | undefined
  #seen: NetworkView | undefined
  #origin: ViewOrigin = 'none'
  #problem: string | undefined
  #releasing: ReadonlySet<Ipv4> = new Set()
  #taken = Promise.withResolvers<undefined>()

  constructor(options: ViewKeeperOptions) {
    const { path, scheduler, random, logger } = options
    this.#options = options
    this.worker = new PokedWorker({
      name: 'view on disk',
      work: () => this.#take(),
      spacingMs: 0,
      backoff: { baseMs: 500, maxMs: 10_000 },
      scheduler,
      random,
      logger,
    })
    const recorded = readNetworkFile(path)
    if (recorded.ok) this.#recorded = recorded.value
    else logger.error('kube.view.unreadable', { problem: recorded.error })
    this.#taken.resolve(undefined)
  }

  /** What the agent goes by; it is on disk. Undefined: neither the API server nor the disk has told anything yet. */
  get view(): NetworkView | undefined {
    return this.#view
  }

  get origin(): ViewOrigin {
    return this.#origin
  }

  /** Why the newest version of the resource is not what the agent goes by. */
  get problem(): string | undefined {
    return this.#problem
  }

  /** For no pod: on their way back, or gone already. Ahead of `view`: what is safe needs no disk. */
  get releasing(): ReadonlySet<Ipv4> {
    return this.#releasing
  }

  /** Of the newest version, on disk or not. */
  get releases(): readonly AddressRelease[] {
    return (this.#seen ?? this.#view)?.releases ?? []
  }

  /** The addresses whose release is on disk. */
  get recordedReleases(): ReadonlySet<Ipv4> {
    return new Set(releasedAddresses(this.#view))
  }

  see(network: NativePodNetwork): void {
    const { logger } = this.#options
    const { name } = network.metadata
    const viewed = viewNetwork(network)
    if (!viewed.ok) {
      const { error } = viewed
      const problem = error.kind === 'malformed' ? error.problem : 'no controller has published VNICs yet'
      if (error.kind === 'malformed' && problem !== this.#problem)
        logger.error('kube.network.malformed', { name, problem })
      this.#problem = problem
      return
    }
    this.#problem = undefined
    this.#noteReleases(viewed.value)
    this.#seen = viewed.value
    this.#withhold()
    if (this.#view === undefined || !isSameView(this.#view, viewed.value)) {
      this.#taken = Promise.withResolvers<undefined>()
    } else {
      this.#origin = 'api'
    }
    this.worker.poke()
  }

  /** Resolves when the newest view is the one that the agent goes by; rejected when `signal` aborts. */
  async whenTaken(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const aborted = Promise.withResolvers<never>()
    const onAbort = (): void => aborted.reject(signal.reason as Error)
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      await Promise.race([this.#taken.promise, aborted.promise])
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** Unless the API server has told something newer, goes by what an earlier agent has written. */
  useRecorded(): void {
    if (this.#view !== undefined || this.#recorded === undefined) return
    this.#view = this.#recorded
    this.#origin = 'disk'
    this.#withhold()
  }

  async #take(): Promise<Result<undefined, string>> {
    const { path, onChange, logger } = this.#options
    const seen = this.#seen
    if (seen === undefined || (this.#view !== undefined && isSameView(this.#view, seen))) return ok(undefined)
    if (this.#recorded === undefined || !isSameView(this.#recorded, seen)) {
      try {
        await writeNetworkFile(path, seen)
      } catch (error) {
        return err(`${path}: ${error instanceof Error ? error.message : String(error)}`)
      }
      this.#recorded = seen
    }
    this.#view = seen
    this.#origin = 'api'
    this.#withhold()
    const addresses = seen.vnics.reduce((sum, vnic) => sum + vnic.addresses.length, 0)
    logger.info('kube.view.taken', { vnics: seen.vnics.map(({ vnicId }) => vnicId), addresses })
    onChange()
    // One that came while this one was written has poked; only the newest ends the waiting.
    if (this.#seen === seen) this.#taken.resolve(undefined)
    return ok(undefined)
  }

  // A mark counts at once, its end only once that is on disk; an address that is gone counts as marked until the VNICs
  // are set without it.
  #withhold(): void {
    const stale = this.#seen === undefined ? [] : addressesOf(this.#view).filter(notIn(addressesOf(this.#seen)))
    this.#releasing = new Set([...releasedAddresses(this.#view), ...releasedAddresses(this.#seen), ...stale])
  }

  #noteReleases(next: NetworkView): void {
    const { logger } = this.#options
    const before = releasedAddresses(this.#seen ?? this.#view ?? this.#recorded)
    const now = releasedAddresses(next)
    const marked = now.filter(notIn(before))
    if (marked.length > 0) logger.info('release.marked', { addresses: marked })
    const cancelled = before.filter(notIn(now)).filter((address) => addressesOf(next).includes(address))
    if (cancelled.length > 0) logger.info('release.cancelled', { addresses: cancelled })
  }
}

function addressesOf(view: NetworkView | undefined): readonly Ipv4[] {
  return (view?.vnics ?? []).flatMap(({ addresses }) => addresses)
}

function notIn(others: readonly Ipv4[]): (address: Ipv4) => boolean {
  const known = new Set(others)
  return (address) => !known.has(address)
}
