import { type Clock, systemClock } from '../base/clock.ts'
import { err, ok, type Result } from '../base/result.ts'
import type { Fd } from '../linux/fd.ts'
import { abortable } from './abortable.ts'
import { AppliedTable, type Step } from './applied-table.ts'
import type { ElementCount } from './element-counts.ts'
import type { LearnedMatch } from './kernel-table.ts'
import type { Libnftables } from './libnftables.ts'
import type { Table } from './model.ts'
import { checkedName } from './names.ts'
import { asResult, isKernelError, NftError } from './nft-error.ts'
import type { TableName } from './render.ts'
import { TurnQueue } from './turn-queue.ts'

export interface WriterOptions extends TableName {
  readonly library: Libnftables
  /** Without it, the calling thread's namespace. Only needed while the writer is made. */
  readonly netns?: Fd
  /**
   * How often to ask whether somebody else changed the ruleset: one message, 10 µs. Listening for notifications would
   * have the kernel write one for each element: 100,000 loaded in 0.37 s without a listener, in 0.5 to 2 s with one.
   */
  readonly checkIntervalMs?: number
  /** The table was changed or deleted by somebody else: it is rebuilt right away. */
  readonly onLost?: (reason: string) => void
  /** How a rebuild went that no caller asked for. After an error it is tried again, later and later. */
  readonly onRepair?: (outcome: Result<AppliedStats, NftError>) => void
  readonly clock?: Clock
}

export interface AppliedStats extends Step {
  /** From the beginning of this table's turn to the kernel's answer. */
  readonly elapsedMs: number
}

type Outcome = Result<AppliedStats, NftError>

const defaultCheckIntervalMs = 500
const minRepairDelayMs = 1_000
const maxRepairDelayMs = 60_000
/** Far longer than any packet is on its way through a chain. */
const sweepDelayMs = 500

/**
 * Keeps one table of the kernel as its owner wants it: remembers what it applied last and sends only what changed,
 * each change as one transaction, and one more that forgets what was learned until then. Never lists the ruleset; the
 * kernel's generation number tells when somebody else was at it, and only then the table's handles and counts are looked at.
 */
export class NftablesWriter implements AsyncDisposable {
  readonly #name: TableName
  readonly #applied: AppliedTable
  readonly #clock: Clock
  readonly #onRepair: WriterOptions['onRepair']
  readonly #turns = new TurnQueue()
  readonly #timer: NodeJS.Timeout
  #desired: Table | undefined
  #next: Promise<Outcome> | undefined
  /** When what is learned until a change is to be forgotten once more. */
  #sweepDueMs = Infinity
  /** Lost and not yet rebuilt: when to try, and how long to wait after that. */
  #repair: { readonly delayMs: number; readonly dueMs: number } | undefined

  constructor(options: WriterOptions) {
    const { library, family, name, netns, checkIntervalMs = defaultCheckIntervalMs } = options
    this.#name = { family, name: checkedName(name) }
    this.#clock = options.clock ?? systemClock
    this.#onRepair = options.onRepair
    this.#applied = new AppliedTable({
      ...this.#name,
      library,
      netns,
      onLost: (reason) => options.onLost?.(reason),
      onForgotten: () => {
        this.#sweepDueMs = this.#clock.monotonicMs() + sweepDelayMs
      },
    })
    this.#timer = setInterval(() => this.#check(), checkIntervalMs).unref()
  }

  /**
   * One caller's wish at a time: a later one replaces those that have not begun, whose callers get its outcome. After an
   * error nothing has changed, or what was learned may still hold; the next apply rebuilds the table. Rejects when the
   * signal aborts the waiting.
   */
  async apply(desired: Table, signal: AbortSignal): Promise<Outcome> {
    if (desired.family !== this.#name.family || desired.name !== this.#name.name) {
      throw new Error(
        `this writer is for ${this.#name.family} ${this.#name.name}, not ${desired.family} ${desired.name}`,
      )
    }
    signal.throwIfAborted()
    this.#desired = desired
    return abortable(this.#applyLatest(), signal)
  }

  /** Deletes elements that the kernel learned, such as the affinities to an endpoint that is gone; how many. */
  async forget(set: string, matches: LearnedMatch, signal: AbortSignal): Promise<Result<number, NftError>> {
    signal.throwIfAborted()
    return abortable(
      this.#turns.run(() => this.#applied.forget(set, matches)),
      signal,
    )
  }

  /**
   * What the elements of a `counted` set counted, also of a learned one; none before the table was applied. Counters start
   * at 0 when the table is loaded anew: after a restart, or when somebody else was at it. Lists this one set.
   */
  async counts(set: string, signal: AbortSignal): Promise<Result<readonly ElementCount[], NftError>> {
    signal.throwIfAborted()
    return abortable(
      this.#turns.run(() => this.#applied.counts(set)),
      signal,
    )
  }

  /** Deletes the table. A later apply makes it again. */
  async remove(signal: AbortSignal): Promise<Result<void, NftError>> {
    signal.throwIfAborted()
    this.#desired = undefined
    this.#repair = undefined
    return abortable(
      this.#turns.run(() => this.#applied.remove()),
      signal,
    )
  }

  /** The table stays as it is in the kernel. What has begun is finished, what has not is rejected. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    await this.#turns.close(new Error('this writer is closed'))
    this.#applied[Symbol.dispose]()
  }

  #applyLatest(): Promise<Outcome> {
    this.#next ??= this.#turns.run(async () => {
      this.#next = undefined
      const desired = this.#desired
      if (desired === undefined) return err(new NftError('ECANCELED', 'it was removed meanwhile', this.#name.name))
      const startedMs = this.#clock.monotonicMs()
      const result = await this.#bring(desired).catch(asResult)
      return result.ok ? ok({ ...result.value, elapsedMs: this.#clock.monotonicMs() - startedMs }) : result
    })
    // A rejection reaches everybody who waits; that nobody waits any more is no news.
    this.#next.catch(() => undefined)
    return this.#next
  }

  async #bring(desired: Table): Promise<Result<Step, NftError>> {
    const result = await this.#applied.bring(desired)
    if (result.ok) this.#repair = undefined
    return result
  }

  async #sweep(): Promise<void> {
    const outcome = await this.#applied.sweep()
    if (outcome === 'lost') this.#repair = { delayMs: 0, dueMs: 0 }
    else if (outcome === 'refused') this.#sweepDueMs = this.#clock.monotonicMs() + sweepDelayMs
  }

  #check(): void {
    if (this.#turns.isBusy) return
    try {
      if (this.#applied.look() === 'lost') this.#repair = { delayMs: 0, dueMs: 0 }
    } catch (error) {
      // What is not known to be lost is looked at again next time.
      if (isKernelError(error)) return
      throw error
    }
    const now = this.#clock.monotonicMs()
    if (now >= this.#sweepDueMs) {
      this.#sweepDueMs = Infinity
      this.#turns.run(() => this.#sweep()).catch(() => void (this.#sweepDueMs = now))
    }
    if (this.#repair === undefined || now < this.#repair.dueMs) return
    const delayMs = Math.min(Math.max(this.#repair.delayMs * 2, minRepairDelayMs), maxRepairDelayMs)
    this.#repair = { delayMs, dueMs: now + delayMs }
    this.#applyLatest().then(this.#onRepair, () => undefined)
  }
}
