import { changeFromNothing, type RuleChange } from './service-rules.ts'
import type { ServiceTable } from './service-table.ts'

/** From one table to another without knowing what changed: all of the other's frontends, and those that are gone. */
export function changeBetween(before: ServiceTable | undefined, after: ServiceTable): RuleChange {
  const gone = [...(before?.frontends.keys() ?? [])].filter((key) => !after.frontends.has(key))
  const { frontends, ...rest } = changeFromNothing(after)
  return { ...rest, frontends: [...gone.map((key) => ({ key })), ...frontends] }
}
