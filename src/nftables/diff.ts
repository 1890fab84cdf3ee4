import type { Change, ElementChange } from './change.ts'
import { diffElements } from './elements.ts'
import type { BaseChain, Chain, NftSet, Rule, Table } from './model.ts'
import { renderRule } from './render-statement.ts'
import { renderSetDeclaration } from './render.ts'
import { changedEntries, type MapChange } from './sharded-map.ts'

export type TableDiff =
  | { readonly kind: 'none' }
  /** Nothing but elements: the fast way. */
  | { readonly kind: 'elements'; readonly changes: readonly ElementChange[] }
  | { readonly kind: 'edit'; readonly changes: readonly Change[] }
  /** Something changed that nf_tables cannot change in place. */
  | { readonly kind: 'rebuild'; readonly reason: string }

/**
 * The steps from one state of a table to the next, in an order in which every step finds what it refers to. Editions
 * of the same sharded map, and the same arrays of rules, are recognised without looking into them.
 */
export function diffTables(before: Table, after: Table): TableDiff {
  if (before.family !== after.family || before.name !== after.name) {
    throw new Error(`${before.family} ${before.name} and ${after.family} ${after.name} are different tables`)
  }
  const sets = changedEntries(before.sets, after.sets)
  const chains = changedEntries(before.chains, after.chains)
  const reason = rebuildReason(sets, chains)
  if (reason !== undefined) return { kind: 'rebuild', reason }
  const elements = elementChanges(sets)
  const structure = structureChanges(sets, chains)
  if (structure.every((changes) => changes.length === 0)) {
    return elements.length === 0 ? { kind: 'none' } : { kind: 'elements', changes: elements }
  }
  const [added, flushed, rules, deleted] = structure
  return { kind: 'edit', changes: [...added, ...flushed, ...elements, ...rules, ...deleted] }
}

/** All of a table, from nothing: its structure without elements, then its elements. */
export function buildTable(table: Table): {
  readonly structure: readonly Change[]
  readonly elements: readonly ElementChange[]
} {
  const sets = [...table.sets]
  const chains = [...table.chains]
  return {
    structure: [
      ...chains.map(([name, chain]) => addChain(name, chain)),
      ...sets.map(([name, set]): Change => ({ kind: 'set.add', name, set })),
      ...chains.flatMap(([name, chain]) => addRules(name, chain)),
    ],
    elements: sets.filter(([, set]) => set.elements.size > 0).map(([name, set]) => addAll(name, set)),
  }
}

type SetChanges = readonly MapChange<string, NftSet>[]
type ChainChanges = readonly MapChange<string, Chain>[]

function rebuildReason(sets: SetChanges, chains: ChainChanges): string | undefined {
  for (const { key, before, after } of sets) {
    if (before === undefined || after === undefined) continue
    if (!isSameDeclaration(before, after)) return `set ${key} is of another type`
  }
  for (const { key, before, after } of chains) {
    if (before === undefined || after === undefined) continue
    if (!isSameBase(before.base, after.base)) return `chain ${key} has another hook, priority or policy`
  }
  return undefined
}

function isSameDeclaration(before: NftSet, after: NftSet): boolean {
  return renderSetDeclaration(before) === renderSetDeclaration(after)
}

function isSameBase(before: BaseChain | undefined, after: BaseChain | undefined): boolean {
  if (before === after) return true
  return (
    before?.type === after?.type &&
    before?.hook === after?.hook &&
    before?.priority === after?.priority &&
    before?.policy === after?.policy
  )
}

/** Deletions of all sets before additions of any: a key that moves from one set to the other is in one of them only. */
function elementChanges(sets: SetChanges): readonly ElementChange[] {
  const deletions: ElementChange[] = []
  const additions: ElementChange[] = []
  for (const { key: name, before, after: set } of sets) {
    if (set === undefined) continue
    if (before === undefined) {
      if (set.elements.size > 0) additions.push(addAll(name, set))
      continue
    }
    const { deleted, added } = diffElements(before.elements, set.elements)
    if (deleted.length > 0) {
      deletions.push({ kind: 'elements.delete', name, set, elements: deleted, count: deleted.length })
    }
    if (added.length > 0) additions.push({ kind: 'elements.add', name, set, elements: added, count: added.length })
  }
  return [...deletions, ...additions]
}

/**
 * New objects come first, for elements and rules to refer to them; chains before sets, because nft 1.0.6 moves the
 * elements of a new interval map right behind the map, in front of the chains that they point to. Chains that change or go are emptied before
 * anything is deleted: their rules hold on to sets and chains. Deleted maps let go of the chains they point to.
 */
function structureChanges(sets: SetChanges, chains: ChainChanges): readonly [Change[], Change[], Change[], Change[]] {
  const [added, flushed, rules, deleted]: [Change[], Change[], Change[], Change[]] = [[], [], [], []]
  for (const { key: name, before, after } of chains) {
    if (after === undefined || (before !== undefined && isSameRules(before.rules, after.rules))) continue
    if (before === undefined) added.push(addChain(name, after))
    else if (before.rules.length > 0) flushed.push({ kind: 'chain.flush', name })
    rules.push(...addRules(name, after))
  }
  for (const { key: name, before, after } of sets) {
    if (before === undefined && after !== undefined) added.push({ kind: 'set.add', name, set: after })
    else if (after === undefined) deleted.push({ kind: 'set.delete', name })
  }
  for (const { key: name, before, after } of chains) {
    if (before === undefined || after !== undefined) continue
    if (before.rules.length > 0) flushed.push({ kind: 'chain.flush', name })
    deleted.push({ kind: 'chain.delete', name })
  }
  return [added, flushed, rules, deleted]
}

function isSameRules(before: readonly Rule[], after: readonly Rule[]): boolean {
  if (before === after) return true
  if (before.length !== after.length) return false
  return after.every((rule, index) => {
    const old = before[index]
    return old === rule || (old !== undefined && renderRule(old) === renderRule(rule))
  })
}

function addChain(name: string, { base }: Chain): Change {
  return { kind: 'chain.add', name, ...(base === undefined ? {} : { base }) }
}

function addRules(chain: string, { rules }: Chain): Change[] {
  return rules.length === 0 ? [] : [{ kind: 'rules.add', chain, rules }]
}

function addAll(name: string, set: NftSet): ElementChange {
  return { kind: 'elements.add', name, set, elements: set.elements, count: set.elements.size }
}
