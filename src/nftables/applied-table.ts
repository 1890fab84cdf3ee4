import { err, ok, type Result } from '../base/result.ts'
import type { Fd } from '../linux/fd.ts'
import type { Batch } from '../linux/netlink/nftables/batch.ts'
import type { BatchRefusal } from '../linux/netlink/nftables/refusal.ts'
import { type Change, countOf, type ElementChange } from './change.ts'
import { diffTables } from './diff.ts'
import { countsOf, type ElementCount } from './element-counts.ts'
import { KernelTable, type LearnedMatch } from './kernel-table.ts'
import type { Libnftables } from './libnftables.ts'
import type { Table } from './model.ts'
import { asResult, errorOfBatch, isDivergence, NftError } from './nft-error.ts'
import {
  differenceAfterEdit,
  differenceFromBefore,
  differenceFromModel,
  type EditedNames,
  editedNames,
  type Observation,
} from './observation.ts'
import type { TableName } from './render.ts'

export interface AppliedTableOptions extends TableName {
  readonly library: Libnftables
  /** Without it, the calling thread's namespace. Only needed while this is made. */
  readonly netns: Fd | undefined
  /** Somebody else changed or deleted what was applied, which is not known any more then. */
  readonly onLost: (reason: string) => void
  /** After a change, what was learned until then was forgotten, but for packets under way. */
  readonly onForgotten: () => void
}

/** What a change came to. */
export interface Step {
  /** `load`: all of it, where nothing was or in place of what was there. `edit`: structure, and elements with it. */
  readonly how: 'unchanged' | 'elements' | 'edit' | 'load'
  readonly elementsAdded: number
  readonly elementsDeleted: number
}

interface Applied {
  readonly table: Table
  /** Sets of what is learned until a change. */
  readonly forgets: readonly string[]
  readonly observation: Observation
  readonly generation: number
}

const staleAttempts = 100

/**
 * One table of the kernel and what of it was applied last, by which the next one becomes a change or a load. One call at a
 * time: whoever uses it gives everybody a turn.
 */
export class AppliedTable implements Disposable {
  readonly #name: TableName
  readonly #kernel: KernelTable
  readonly #onLost: AppliedTableOptions['onLost']
  readonly #onForgotten: AppliedTableOptions['onForgotten']
  #applied: Applied | undefined

  constructor({ library, family, name, netns, onLost, onForgotten }: AppliedTableOptions) {
    this.#name = { family, name }
    this.#kernel = new KernelTable(library, this.#name, netns)
    this.#onLost = onLost
    this.#onForgotten = onForgotten
  }

  async bring(desired: Table): Promise<Result<Step, NftError>> {
    const applied = this.#applied && this.#still(this.#applied)
    // Whatever goes wrong from here on, a bug of ours included: the next one begins from nothing.
    this.#applied = undefined
    return applied === undefined ? this.#load(desired) : this.#change(applied, desired)
  }

  /** `lost`: somebody else was at it since the last look, and it is not known any more. */
  look(): 'kept' | 'lost' | 'nothing' {
    if (this.#applied === undefined) return 'nothing'
    this.#applied = this.#still(this.#applied)
    return this.#applied === undefined ? 'lost' : 'kept'
  }

  /** Empties the sets of what is learned until a change once more. */
  async sweep(): Promise<'done' | 'lost' | 'refused'> {
    const applied = this.#applied
    if (applied === undefined) return 'done'
    const result = await this.#transact(applied, this.#kernel.encodeFlush(applied.forgets))
    if (result === 'lost') {
      this.#applied = undefined
      return 'lost'
    }
    if (!result.ok) return 'refused'
    this.#applied = result.value
    return 'done'
  }

  async forget(set: string, matches: LearnedMatch): Promise<Result<number, NftError>> {
    const applied = this.#applied
    return applied === undefined ? ok(0) : this.#kernel.forget(applied.table, set, matches).catch(asResult)
  }

  async counts(set: string): Promise<Result<readonly ElementCount[], NftError>> {
    const key = this.#applied?.table.sets.get(set)?.key
    return key === undefined ? ok([]) : this.#kernel.counts(set).then((all) => ok(countsOf(key, all)), asResult)
  }

  async remove(): Promise<Result<void, NftError>> {
    this.#applied = undefined
    const result = await this.#kernel.remove()
    return result.ok ? result : err(new NftError(result.error.code, result.error.text, `table ${this.#name.name}`))
  }

  /** The table stays as it is in the kernel. */
  [Symbol.dispose](): void {
    this.#kernel[Symbol.dispose]()
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
   * for it: it would take milliseconds. The writer has the sets emptied once more.
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
    this.#onForgotten()
    return ok(step)
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
    this.#onLost(reason)
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
