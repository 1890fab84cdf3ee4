import type { Table } from '../../nftables/model.ts'
import type { PolicyIndex } from '../../policy/policy-index.ts'

/** What there is now; read when somebody asks for the metrics. */
export interface PolicyFigures {
  readonly chains: number
  readonly rules: number
  readonly sets: number
  readonly elements: number
  /** Of this node, on its pod network. */
  readonly pods: number
  readonly selectedPods: number
  readonly policies: number
  readonly problemPolicies: number
  readonly malformedObjects: number
  readonly pendingObjects: number
  readonly staleResources: number
  /** 0: never. */
  readonly lastSyncMs: number
}

export interface FigureSources {
  /** Absent: the kernel has none from this agent. */
  readonly table: Table | undefined
  readonly index: Pick<PolicyIndex, 'totals' | 'problems'> | undefined
  readonly feed: {
    readonly malformed: readonly string[]
    readonly pending: number
    readonly stale: { readonly problems: readonly string[] }
  }
  readonly lastSyncMs: number | undefined
}

export function policyFigures({ table, index, feed, lastSyncMs = 0 }: FigureSources): PolicyFigures {
  const { pods, selected, policies } = index?.totals() ?? { pods: 0, selected: 0, policies: 0 }
  return {
    chains: table?.chains.size ?? 0,
    rules: sum([...(table?.chains.values() ?? [])].map(({ rules }) => rules.length)),
    sets: table?.sets.size ?? 0,
    elements: sum([...(table?.sets.values() ?? [])].map(({ elements }) => elements.size)),
    pods,
    selectedPods: selected,
    policies,
    problemPolicies: index?.problems().size ?? 0,
    malformedObjects: feed.malformed.length,
    pendingObjects: feed.pending,
    staleResources: feed.stale.problems.length,
    lastSyncMs,
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0)
}
