import type { Change, ElementChange } from './change.ts'
import { allElements, diffElements } from './elements.ts'
import type { BaseChain, Chain, NftSet, Rule, Table } from './model.ts'
import { renderRule } from './render-statement.ts'
import { renderSetDeclaration } from './render.ts'

export type TableDiff =
  | { readonly kind: 'none' }
  /** Nothing but elements: the fast way. */
  | { readonly kind: 'elements'; readonly changes: readonly ElementChange[] }
  | { readonly kind: 'edit'; readonly changes: readonly Change[] }
  /** Something changed that nf_tables cannot change in place. */
  | { readonly kind: 'rebuild'; readonly reason: string }

/**
 * The steps from one state of a table to the next, in an order in which every step finds what it refers to. Editions
 * of the same elements, and the same arrays of rules, are recognised without looking into them.
 */
export function diffTables(before: Table, after: Table): TableDiff {
  if (before.family !== after.family || before.name !== after.name) {
    throw new Error(`${before.family} ${before.name} and ${after.family} ${after.name} are different tables`)
  }
  const reason = rebuildReason(before, after)
  if (reason !== undefined) return { kind: 'rebuild', reason }
  const elements = elementChanges(before, after)
  const structure = structureChanges(before, after)
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

function rebuildReason(before: Table, after: Table): string | undefined {
  for (const [name, set] of after.sets) {
    const old = before.sets.get(name)
    if (old !== undefined && !isSameDeclaration(old, set)) return `set ${name} is of another type`
  }
  for (const [name, { base }] of after.chains) {
    const old = before.chains.get(name)
    if (old !== undefined && !isSameBase(old.base, base)) return `chain ${name} has another hook, priority or policy`
  }
  return undefined
}

function isSameDeclaration(before: NftSet, after: NftSet): boolean {
  return before === after || renderSetDeclaration(before) === renderSetDeclaration(after)
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
function elementChanges(before: Table, after: Table): readonly ElementChange[] {
  const deletions: ElementChange[] = []
  const additions: ElementChange[] = []
  for (const [name, set] of after.sets) {
    const old = before.sets.get(name)
    if (old === set) continue
    if (old === undefined) {
      if (set.elements.size > 0) additions.push(addAll(name, set))
      continue
    }
    const { deleted, added } = diffElements(old.elements, set.elements)
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
function structureChanges(before: Table, after: Table): readonly [Change[], Change[], Change[], Change[]] {
  const [added, flushed, rules, deleted]: [Change[], Change[], Change[], Change[]] = [[], [], [], []]
  for (const [name, chain] of after.chains) {
    const old = before.chains.get(name)
    if (old !== undefined && isSameRules(old.rules, chain.rules)) continue
    if (old === undefined) added.push(addChain(name, chain))
    else if (old.rules.length > 0) flushed.push({ kind: 'chain.flush', name })
    rules.push(...addRules(name, chain))
  }
  for (const [name, set] of after.sets) if (!before.sets.has(name)) added.push({ kind: 'set.add', name, set })
  for (const name of before.sets.keys()) if (!after.sets.has(name)) deleted.push({ kind: 'set.delete', name })
  for (const [name, { rules: old }] of before.chains) {
    if (after.chains.has(name)) continue
    if (old.length > 0) flushed.push({ kind: 'chain.flush', name })
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
  return { kind: 'elements.add', name, set, elements: allElements(set.elements), count: set.elements.size }
}
