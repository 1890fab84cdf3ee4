import { type Clock, systemClock } from '../base/clock.ts'
import { err, ok, type Result } from '../base/result.ts'
import type { Fd } from '../linux/fd.ts'
import type { Batch } from '../linux/netlink/nftables/batch.ts'
import type { BatchRefusal } from '../linux/netlink/nftables/refusal.ts'
import { abortable } from './abortable.ts'
import { type Change, countOf, type ElementChange } from './change.ts'
import { diffTables } from './diff.ts'
import { countsOf, type ElementCount } from './element-counts.ts'
import { KernelTable, type LearnedMatch } from './kernel-table.ts'
import type { Libnftables } from './libnftables.ts'
import type { Table } from './model.ts'
import { checkedName } from './names.ts'
import { asResult, errorOfBatch, isDivergence, isKernelError, NftError } from './nft-error.ts'
import {
  differenceAfterEdit,
  differenceFromBefore,
  differenceFromModel,
  type EditedNames,
  editedNames,
  type Observation,
} from './observation.ts'
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
  /** Sets of what is learned until a change. */
  readonly forgets: readonly string[]
  readonly observation: Observation
  readonly generation: number
}
type Outcome = Result<AppliedStats, NftError>
type Step = Omit<AppliedStats, 'elapsedMs'>

const defaultCheckIntervalMs = 500
const staleAttempts = 100
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
  readonly #kernel: KernelTable
  readonly #clock: Clock
  readonly #onLost: WriterOptions['onLost']
  readonly #onRepair: WriterOptions['onRepair']
  readonly #turns = new TurnQueue()
  readonly #timer: NodeJS.Timeout
  #applied: Applied | undefined
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
    this.#onLost = options.onLost
    this.#onRepair = options.onRepair
    this.#kernel = new KernelTable(library, this.#name, netns)
    this.#timer = setInterval(() => this.#check(), checkIntervalMs).unref()
  }

  /**
   * One caller's wish at a time: a later one replaces those that have not begun, whose callers get its outcome. After an
   * error nothing has changed, or what was learned may still hold; the next apply rebuilds the table. Rejects when the signal aborts the waiting.
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
    const result = await this.#transact(before, await this.#kernel.encode(changes))
    if (result === 'lost') return this.#load(desired)
    if (result.ok) return this.#forgetLearned({ ...result.value, table: desired }, elementStep('elements', changes))
    return isDivergence(result.error.code) ? this.#load(desired) : err(errorOfBatch(desired, result.error))
  }

  /**
   * What packets learned by the rules that are no more, in a transaction of its own: until the change was committed, a packet
   * could learn by the old rules. One that was being judged just then still may (it reads the generation when it enters a
   * chain; net/netfilter/nf_tables_core.c, nft_do_chain), for microseconds, and no caller waits out a grace period of RCU
   * for it: it would take milliseconds. The sets are emptied once more with one of the next checks.
   */
  async #forgetLearned(changed: Applied, step: Step): Promise<Result<Step, NftError>> {
    if (changed.forgets.length === 0) {
      this.#applied = changed
      return ok(step)
    }
    const result = await this.#transact(changed, this.#kernel.encodeFlush(changed.forgets))
    if (result === 'lost') return this.#load(changed.table)
    if (!result.ok) return err(errorOfBatch(changed.table, result.error))
    this.#applied = result.value
    this.#sweepDueMs = this.#clock.monotonicMs() + sweepDelayMs
    return ok(step)
  }

  async #sweep(): Promise<void> {
    const applied = this.#applied
    if (applied === undefined) return
    const result = await this.#transact(applied, this.#kernel.encodeFlush(applied.forgets))
    if (result === 'lost') {
      this.#applied = undefined
      this.#repair = { delayMs: 0, dueMs: 0 }
    } else if (result.ok) this.#applied = result.value
    else this.#sweepDueMs = this.#clock.monotonicMs() + sweepDelayMs
  }

  /** Others may be at their own tables all the time: looks right before it goes out. */
  async #transact(before: Applied, batch: Batch): Promise<Result<Applied, BatchRefusal> | 'lost'> {
    let current: Applied | undefined = before
    for (let attempt = 1; ; attempt++) {
      current = this.#still(current)
      if (current === undefined) return 'lost'
      const result = await this.#kernel.transact(batch, current.generation)
      if (result.ok) return ok({ ...current, generation: nextGeneration(current.generation) })
      if (result.error.kind !== 'stale' || attempt === staleAttempts) return result
    }
  }

  async #load(desired: Table): Promise<Result<Step, NftError>> {
    const result = await this.#kernel.load(desired)
    return result.ok ? this.#settleLoad(desired) : result
  }

  async #settleEdit(before: Applied, desired: Table, changes: readonly Change[]): Promise<Result<Step, NftError>> {
    const generation = this.#kernel.generation()
    const isOursAlone = generation === nextGeneration(before.generation)
    const edited = isOursAlone ? editedNames(changes) : undefined
    const observation =
      edited === undefined ? this.#kernel.observe() : this.#kernel.observeEdit(before.observation, edited, desired)
    const made = madeOf(desired, generation, observation, edited)
    return made.ok ? this.#forgetLearned(made.value, elementStep('edit', changes)) : made
  }

  #settleLoad(desired: Table): Result<Step, NftError> {
    const elementsAdded = [...desired.sets.values()].reduce((sum, { elements }) => sum + elements.size, 0)
    // Before the look: what happens meanwhile makes another generation, and is looked at then.
    const generation = this.#kernel.generation()
    const made = madeOf(desired, generation, this.#kernel.observe())
    if (!made.ok) return made
    // Its sets are new: packets of the old rules learn in the old ones.
    this.#applied = made.value
    return ok({ how: 'load', elementsAdded, elementsDeleted: 0 })
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
    if (now >= this.#sweepDueMs) {
      this.#sweepDueMs = Infinity
      this.#turns.run(() => this.#sweep()).catch(() => void (this.#sweepDueMs = now))
    }
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

/** net/netfilter/nf_tables_api.c, nf_tables_commit: a counter of 32 bits that is never 0. */
function nextGeneration(generation: number): number {
  return (generation + 1) >>> 0 || 1
}

/** What was made, by its handles, after a look whether it is what was meant. */
function madeOf(
  table: Table,
  generation: number,
  observation: Observation | undefined,
  edited?: EditedNames,
): Result<Applied, NftError> {
  const difference = observation === undefined ? 'it is gone' : differenceOf(observation, table, edited)
  if (observation !== undefined && difference === undefined)
    return ok({ table, forgets: setsUntilChange(table), observation, generation })
  return err(new NftError('ESTALE', `somebody else changes it: ${difference ?? ''}`, `table ${table.name}`))
}

function differenceOf(observation: Observation, table: Table, edited: EditedNames | undefined): string | undefined {
  return edited === undefined
    ? differenceFromModel(observation, table)
    : differenceAfterEdit(observation, table, edited)
}

function elementStep(how: Step['how'], changes: readonly Change[]): Step {
  return { how, elementsAdded: countOf('elements.add', changes), elementsDeleted: countOf('elements.delete', changes) }
}

function setsUntilChange({ sets }: Table): readonly string[] {
  return [...sets].flatMap(([name, { learned }]) => (learned?.until === 'change' ? [name] : []))
}
