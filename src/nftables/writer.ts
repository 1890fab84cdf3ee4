import { type Clock, systemClock } from '../base/clock.ts'
import { err, ok, type Result } from '../base/result.ts'
import type { Fd } from '../linux/fd.ts'
import { SystemError } from '../linux/libc.ts'
import { NetlinkError } from '../linux/netlink/failure.ts'
import { abortable } from './abortable.ts'
import type { Change, ElementChange } from './change.ts'
import { diffTables } from './diff.ts'
import { countsOf, type ElementCount } from './element-counts.ts'
import { KernelTable, type LearnedMatch } from './kernel-table.ts'
import type { Libnftables } from './libnftables.ts'
import type { Table } from './model.ts'
import { checkedName } from './names.ts'
import { errorOfBatch, NftError } from './nft-error.ts'
import { differenceFromBefore, differenceFromModel, type Observation } from './observation.ts'
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

export interface AppliedStats {
  /** `load`: all of it, where nothing was or in place of what was there. `edit`: structure, and elements with it. */
  readonly how: 'unchanged' | 'elements' | 'edit' | 'load'
  readonly elementsAdded: number
  readonly elementsDeleted: number
  /** From the beginning of this table's turn to the kernel's answer. */
  readonly elapsedMs: number
}

interface Applied {
  readonly table: Table
  readonly observation: Observation
  readonly generation: number
}
type Outcome = Result<AppliedStats, NftError>
type Step = Omit<AppliedStats, 'elapsedMs'>

const defaultCheckIntervalMs = 500
const staleAttempts = 100
const minRepairDelayMs = 1_000
const maxRepairDelayMs = 60_000

/**
 * Keeps one table of the kernel as its owner wants it: remembers what it applied last and sends only what changed,
 * each change as one transaction. Never lists the ruleset; the kernel's generation number tells when somebody else was
 * at it, and only then the table's handles and counts are looked at.
 */
export class NftablesWriter implements AsyncDisposable {
  readonly #name: TableName
  readonly #kernel: KernelTable
  readonly #clock: Clock
  readonly #onLost: WriterOptions['onLost']
  readonly #onRepair: WriterOptions['onRepair']
  readonly #turns = new TurnQueue()
  readonly #timer: NodeJS.Timeout
  #applied: Applied | undefined
  #desired: Table | undefined
  #next: Promise<Outcome> | undefined
  /** Lost and not yet rebuilt: when to try, and how long to wait after that. */
  #repair: { readonly delayMs: number; readonly dueMs: number } | undefined

  constructor(options: WriterOptions) {
    const { library, family, name, netns, checkIntervalMs = defaultCheckIntervalMs } = options
    this.#name = { family, name: checkedName(name) }
    this.#clock = options.clock ?? systemClock
    this.#onLost = options.onLost
    this.#onRepair = options.onRepair
    this.#kernel = new KernelTable(library, this.#name, netns)
    this.#timer = setInterval(() => this.#check(), checkIntervalMs).unref()
  }

  /**
   * One caller's wish at a time: a later one replaces those that have not begun, whose callers get its outcome. After an
   * error nothing has changed, and the next apply rebuilds the table. Rejects when the signal aborts the waiting.
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
    const forgotten = this.#turns.run(async () => {
      const applied = this.#applied
      return applied === undefined ? ok(0) : this.#kernel.forget(applied.table, set, matches).catch(asResult)
    })
    return abortable(forgotten, signal)
  }

  /**
   * What the elements of a `counted` set counted, also of a learned one; none before the table was applied. Counters start
   * at 0 when the table is loaded anew: after a restart, or when somebody else was at it. Lists this one set.
   */
  async counts(set: string, signal: AbortSignal): Promise<Result<readonly ElementCount[], NftError>> {
    signal.throwIfAborted()
    const counted = this.#turns.run(async () => {
      const key = this.#applied?.table.sets.get(set)?.key
      return key === undefined ? ok([]) : this.#kernel.counts(set).then((all) => ok(countsOf(key, all)), asResult)
    })
    return abortable(counted, signal)
  }

  /** Deletes the table. A later apply makes it again. */
  async remove(signal: AbortSignal): Promise<Result<void, NftError>> {
    signal.throwIfAborted()
    this.#desired = undefined
    this.#repair = undefined
    const removed = this.#turns.run(async () => {
      this.#applied = undefined
      const result = await this.#kernel.remove()
      return result.ok ? result : err(new NftError(result.error.code, result.error.text, `table ${this.#name.name}`))
    })
    return abortable(removed, signal)
  }

  /** The table stays as it is in the kernel. What has begun is finished, what has not is rejected. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    await this.#turns.close(new Error('this writer is closed'))
    this.#kernel[Symbol.dispose]()
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
    const applied = this.#applied && this.#still(this.#applied)
    // Whatever goes wrong from here on, a bug of ours included: the next one begins from nothing.
    this.#applied = undefined
    const result = applied === undefined ? await this.#load(desired) : await this.#change(applied, desired)
    if (result.ok) this.#repair = undefined
    return result
  }

  async #change(before: Applied, desired: Table): Promise<Result<Step, NftError>> {
    const diff = diffTables(before.table, desired)
    switch (diff.kind) {
      case 'none':
        this.#applied = { ...before, table: desired }
        return ok({ how: 'unchanged', elementsAdded: 0, elementsDeleted: 0 })
      case 'rebuild':
        return this.#load(desired)
      case 'elements':
        return this.#changeElements(before, desired, diff.changes)
      case 'edit': {
        const result = await this.#kernel.edit(desired, diff.changes)
        if (result.ok) return this.#settleEdit(before, desired, diff.changes)
        return isDivergence(result.error.code) ? this.#load(desired) : result
      }
    }
  }

  async #changeElements(
    before: Applied,
    desired: Table,
    changes: readonly ElementChange[],
  ): Promise<Result<Step, NftError>> {
    const batch = await this.#kernel.encode(changes)
    let current: Applied | undefined = before
    for (let attempt = 1; ; attempt++) {
      // Right before it goes out: others may be at their own tables all the time.
      current = this.#still(current)
      if (current === undefined) return this.#load(desired)
      const result = await this.#kernel.transact(batch, current.generation)
      if (result.ok) {
        this.#applied = { ...current, table: desired, generation: nextGeneration(current.generation) }
        return ok({ how: 'elements', ...countElements(changes) })
      }
      if (isDivergence(result.error.code)) return this.#load(desired)
      if (result.error.kind !== 'stale' || attempt === staleAttempts) return err(errorOfBatch(desired, result.error))
    }
  }

  async #load(desired: Table): Promise<Result<Step, NftError>> {
    const result = await this.#kernel.load(desired)
    return result.ok ? this.#settleLoad(desired) : result
  }

  #settleEdit(before: Applied, desired: Table, changes: readonly Change[]): Result<Step, NftError> {
    const step: Step = { how: 'edit', ...countElements(changes.filter(isElementChange)) }
    const generation = this.#kernel.generation()
    const isOursAlone = generation === nextGeneration(before.generation)
    const observation = isOursAlone ? this.#kernel.observeEdit(before.observation, changes) : this.#kernel.observe()
    return this.#remember(desired, generation, observation, step)
  }

  #settleLoad(desired: Table): Result<Step, NftError> {
    const elementsAdded = [...desired.sets.values()].reduce((sum, { elements }) => sum + elements.size, 0)
    // Before the look: what happens meanwhile makes another generation, and is looked at then.
    const generation = this.#kernel.generation()
    return this.#remember(desired, generation, this.#kernel.observe(), {
      how: 'load',
      elementsAdded,
      elementsDeleted: 0,
    })
  }

  /** What was made, by its handles, after a look whether it is what was meant. */
  #remember(
    table: Table,
    generation: number,
    observation: Observation | undefined,
    step: Step,
  ): Result<Step, NftError> {
    const difference = observation === undefined ? 'it is gone' : differenceFromModel(observation, table)
    if (observation === undefined || difference !== undefined) {
      return err(new NftError('ESTALE', `somebody else changes it: ${difference ?? ''}`, `table ${table.name}`))
    }
    this.#applied = { table, observation, generation }
    return ok(step)
  }

  #check(): void {
    if (this.#turns.isBusy) return
    if (this.#applied !== undefined) {
      try {
        this.#applied = this.#still(this.#applied)
      } catch (error) {
        // What is not known to be lost is looked at again next time.
        if (isKernelError(error)) return
        throw error
      }
      if (this.#applied === undefined) this.#repair = { delayMs: 0, dueMs: 0 }
    }
    const now = this.#clock.monotonicMs()
    if (this.#repair === undefined || now < this.#repair.dueMs) return
    const delayMs = Math.min(Math.max(this.#repair.delayMs * 2, minRepairDelayMs), maxRepairDelayMs)
    this.#repair = { delayMs, dueMs: now + delayMs }
    this.#applyLatest().then(this.#onRepair, () => undefined)
  }

  /** What was applied, if it is still there. Undefined: somebody else was at it. */
  #still(applied: Applied): Applied | undefined {
    return this.#kernel.generation() === applied.generation ? applied : this.#verified(applied)
  }

  #verified(applied: Applied): Applied | undefined {
    const generation = this.#kernel.generation()
    const observation = this.#kernel.observe()
    const reason =
      observation === undefined
        ? 'the table is gone'
        : (differenceFromBefore(applied.observation, observation) ?? differenceFromModel(observation, applied.table))
    if (reason === undefined) return { ...applied, generation }
    this.#onLost?.(reason)
    return undefined
  }
}

/** The kernel does not have what was applied, or has more: its answer to deleting or adding an element. */
function isDivergence(code: string): boolean {
  return code === 'ENOENT' || code === 'EEXIST'
}

function isKernelError(error: unknown): error is NetlinkError | SystemError {
  return error instanceof NetlinkError || error instanceof SystemError
}

/** Such as a listing that is interrupted all the time, or answers that did not fit. Everything else is a bug. */
function asResult(error: unknown): Result<never, NftError> {
  if (isKernelError(error)) return err(new NftError(error.code, error.message, 'a question about the ruleset'))
  throw error
}

/** net/netfilter/nf_tables_api.c, nf_tables_commit: a counter of 32 bits that is never 0. */
function nextGeneration(generation: number): number {
  return (generation + 1) >>> 0 || 1
}

function isElementChange(change: Change): change is ElementChange {
  return change.kind === 'elements.add' || change.kind === 'elements.delete'
}

function countElements(changes: readonly ElementChange[]): Pick<Step, 'elementsAdded' | 'elementsDeleted'> {
  const count = (kind: ElementChange['kind']): number =>
    changes.reduce((sum, change) => (change.kind === kind ? sum + change.count : sum), 0)
  return { elementsAdded: count('elements.add'), elementsDeleted: count('elements.delete') }
}
