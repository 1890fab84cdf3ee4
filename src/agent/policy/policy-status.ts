import type { Logger } from '../../base/logger.ts'
import { type FieldError, formatFieldErrors } from '../../base/schema.ts'
import type { PolicyIndex } from '../../policy/policy-index.ts'
import type { Change } from '../../policy/policy-table.ts'
import type { PolicyStatus } from '../status.ts'
import { shortened } from '../kube/told-problems.ts'

export interface PolicyParts {
  readonly refusal: string | undefined
  readonly problem: string | undefined
  /** What the API server has not listed yet. */
  readonly missing: readonly string[]
  /** The kernel has had all that was told, at least once. */
  readonly isRunning: boolean
  readonly lastSyncMs: number | undefined
  /** Absent: the objects are not known yet. */
  readonly index: Pick<PolicyIndex, 'totals' | 'problems'> | undefined
  readonly calico: readonly string[]
  readonly closedPorts: readonly string[]
  readonly malformed: readonly string[]
  /** Resources that are not heard of any more, in words. */
  readonly stale: readonly string[]
}

export function describePolicy(parts: PolicyParts): PolicyStatus {
  const { refusal, problem, missing, lastSyncMs, index, calico, closedPorts, malformed, stale } = parts
  const waiting = missing.length > 0 ? `the API server has not told yet: ${missing.join(', ')}` : undefined
  const because = refusal ?? problem ?? waiting
  const problems = [
    ...(calico.length === 0 ? [] : [`Calico is on this node, too: ${calico.slice(0, 3).join(', ')}`]),
    ...stale,
    ...closedPorts,
    ...malformed,
    ...[...(index?.problems() ?? [])].map(([policy, errors]) => `${policy}: ${formatFieldErrors(errors)}`),
  ]
  const { pods, selected, policies } = index?.totals() ?? { pods: 0, selected: 0, policies: 0 }
  return {
    state: stateOf(parts),
    ...(because !== undefined && { because }),
    pods,
    selected,
    policies,
    ...(lastSyncMs !== undefined && { lastSyncMs }),
    problems: shortened(problems),
  }
}

/** By policy, what is wrong with it now. */
export function logProblems(problems: readonly Change<readonly FieldError[]>[], logger: Logger): void {
  for (const { key, after } of problems) {
    if (after === undefined || after.length === 0) logger.info('policy.problem.solved', { policy: key })
    else logger.warn('policy.problem', { policy: key, problem: formatFieldErrors(after) })
  }
}

function stateOf({ refusal, problem, isRunning }: PolicyParts): PolicyStatus['state'] {
  if (refusal !== undefined) return 'refused'
  if (problem !== undefined) return 'failing'
  return isRunning ? 'running' : 'waiting'
}
