import type { SetObject, TableObject } from '../linux/netlink/nftables/objects.ts'
import type { Table } from './model.ts'

/** What the kernel tells of a table without listing what is in it: cheap even with 100,000 elements. */
export interface Observation {
  readonly table: TableObject
  /** Handles, in order; chains without rules are not in it. */
  readonly rules: ReadonlyMap<string, readonly bigint[]>
  readonly sets: readonly SetObject[]
}

/** How the kernel's table is not what was just made; undefined when it is. */
export function differenceFromModel({ table, rules, sets }: Observation, model: Table): string | undefined {
  if (table.isDormant) return 'the table is dormant'
  for (const [name, chain] of model.chains) {
    const count = rules.get(name)?.length ?? 0
    if (count !== chain.rules.length) return `chain ${name} has ${count} rules, not ${chain.rules.length}`
  }
  for (const name of rules.keys()) if (!model.chains.has(name)) return `chain ${name} is not ours`
  return differenceOfSets(sets, model)
}

function differenceOfSets(sets: readonly SetObject[], model: Table): string | undefined {
  const observed = new Map(sets.map((set) => [set.name, set]))
  for (const [name, set] of model.sets) {
    const known = observed.get(name)
    if (known === undefined) return `set ${name} is gone`
    // Of ranges the kernel counts the ends; learned elements are its own; before Linux 6.16 it does not tell.
    const isCounted = set.interval !== true && set.learned === undefined && known.elementCount !== undefined
    if (isCounted && known.elementCount !== set.elements.size) {
      return `set ${name} has ${known.elementCount} elements, not ${set.elements.size}`
    }
  }
  return undefined
}

/** How somebody else has changed the objects that were there before. Handles are never used twice. */
export function differenceFromBefore(before: Observation, now: Observation): string | undefined {
  if (before.table.handle !== now.table.handle) return 'the table was made anew'
  if (before.table.objectCount !== now.table.objectCount) return 'chains or sets were added or deleted'
  if (!isSameList(before.sets.map(handleOf), now.sets.map(handleOf))) return 'a set was replaced'
  const isSameRules =
    before.rules.size === now.rules.size &&
    [...before.rules].every(([chain, handles]) => isSameList(handles, now.rules.get(chain) ?? []))
  return isSameRules ? undefined : 'a rule was replaced'
}

function handleOf({ handle }: SetObject): bigint {
  return handle
}

function isSameList(before: readonly bigint[], now: readonly bigint[]): boolean {
  return before === now || (before.length === now.length && before.every((handle, index) => handle === now[index]))
}
