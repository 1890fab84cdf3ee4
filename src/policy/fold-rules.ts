import type { PolicyRule } from './policy-table.ts'
import { mergedRanges } from './port-ranges.ts'

/** What is matched, and what then; which rule of the policy it was is for those who explain. */
export type FoldedRule = Pick<PolicyRule, 'action' | 'peers' | 'ports' | 'portSets'>

/**
 * The same in fewer rules: those for the same peers become one, whose ports are a set. Only within a run of the same action,
 * where it does not matter which of them matches first.
 */
export function foldRules(rules: readonly PolicyRule[]): readonly FoldedRule[] {
  return runsOf(rules).flatMap((run) => {
    const byPeers = Map.groupBy(run, ({ peers }) => JSON.stringify(peers))
    return [...byPeers.values()].flatMap(foldGroup)
  })
}

function runsOf(rules: readonly PolicyRule[]): readonly (readonly PolicyRule[])[] {
  const runs: PolicyRule[][] = []
  for (const rule of rules) {
    const run = runs.at(-1)
    if (run?.[0]?.action === rule.action) run.push(rule)
    else runs.push([rule])
  }
  return runs
}

function foldGroup(group: readonly PolicyRule[]): readonly FoldedRule[] {
  const [first] = group
  if (first === undefined || group.length === 1) return group
  const ranges = group.flatMap(({ ports }) => (ports === 'any' ? [] : ports))
  return [
    {
      action: first.action,
      peers: first.peers,
      ports: group.some(({ ports }) => ports === 'any') ? 'any' : mergedRanges(ranges),
      portSets: [...new Set(group.flatMap(({ portSets }) => portSets))],
    },
  ]
}
