import type { SetObject, TableObject } from '../linux/netlink/nftables/objects.ts'
import type { Change } from './change.ts'
import type { Table } from './model.ts'
import type { ShardedMap } from './sharded-map.ts'

/** What the kernel tells of a table without listing what is in it: cheap even with 100,000 elements. */
export interface Observation {
  readonly table: TableObject
  /** Handles, in order; chains without rules are not in it. */
  readonly rules: ShardedMap<string, readonly bigint[]>
  readonly sets: ShardedMap<string, SetObject>
}

/** Names of what an edit makes anew, changes or deletes: not of sets whose elements alone change, which stay the same sets. */
export interface EditedNames {
  readonly chains: ReadonlySet<string>
  readonly sets: ReadonlySet<string>
}

export function editedNames(changes: readonly Change[]): EditedNames {
  const chains = new Set<string>()
  const sets = new Set<string>()
  for (const change of changes) {
    switch (change.kind) {
      case 'rules.add':
        chains.add(change.chain)
        break
      case 'chain.add':
      case 'chain.flush':
      case 'chain.delete':
        chains.add(change.name)
        break
      case 'set.add':
      case 'set.delete':
        sets.add(change.name)
        break
      case 'elements.add':
      case 'elements.delete':
        break
    }
  }
  return { chains, sets }
}

/** How the kernel's table is not what was just made; undefined when it is. */
export function differenceFromModel(observation: Observation, model: Table): string | undefined {
  const all: EditedNames = {
    chains: new Set([...model.chains.keys(), ...observation.rules.keys()]),
    sets: new Set(model.sets.keys()),
  }
  return differenceAfterEdit(observation, model, all)
}

/** The same after an edit by nobody but us of a table that was as it should be: all else is as it was. */
export function differenceAfterEdit(
  observation: Observation,
  model: Table,
  { chains, sets }: EditedNames,
): string | undefined {
  if (observation.table.isDormant) return 'the table is dormant'
  for (const name of chains) {
    const count = observation.rules.get(name)?.length ?? 0
    const chain = model.chains.get(name)
    if (chain === undefined && count > 0) return `chain ${name} is not ours`
    if (chain !== undefined && count !== chain.rules.length) {
      return `chain ${name} has ${count} rules, not ${chain.rules.length}`
    }
  }
  for (const name of sets) {
    const difference = differenceOfSet(name, observation.sets.get(name), model)
    if (difference !== undefined) return difference
  }
  return undefined
}

function differenceOfSet(name: string, known: SetObject | undefined, model: Table): string | undefined {
  const set = model.sets.get(name)
  if (set === undefined) return known === undefined ? undefined : `set ${name} is not ours`
  if (known === undefined) return `set ${name} is gone`
  // Of ranges the kernel counts the ends; learned elements are its own; before Linux 6.16 it does not tell.
  const isCounted = set.interval !== true && set.learned === undefined && known.elementCount !== undefined
  if (!isCounted || known.elementCount === set.elements.size) return undefined
  return `set ${name} has ${known.elementCount} elements, not ${set.elements.size}`
}

/**
 * How somebody else has changed the objects that were there before. Handles are never used twice, but a rule that `nft
 * replace rule` puts in another's place gets its handle: that is not noticed.
 */
export function differenceFromBefore(before: Observation, now: Observation): string | undefined {
  if (before.table.handle !== now.table.handle) return 'the table was made anew'
  if (before.table.objectCount !== now.table.objectCount) return 'chains or sets were added or deleted'
  const isSameSets =
    before.sets.size === now.sets.size &&
    [...before.sets].every(([name, { handle }]) => now.sets.get(name)?.handle === handle)
  if (!isSameSets) return 'a set was replaced'
  const isSameRules =
    before.rules.size === now.rules.size &&
    [...before.rules].every(([chain, handles]) => isSameList(handles, now.rules.get(chain) ?? []))
  return isSameRules ? undefined : 'a rule was replaced'
}

function isSameList(before: readonly bigint[], now: readonly bigint[]): boolean {
  return before === now || (before.length === now.length && before.every((handle, index) => handle === now[index]))
}
