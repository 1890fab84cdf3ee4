import type { Clock } from '../base/clock.ts'
import type { ObjectCache } from '../kube/cache.ts'
import type { NativePodNetwork } from '../kube/native-pod-network.ts'
import { noStatus } from '../kube/native-pod-network-status.ts'
import type { KubeNode } from '../kube/node.ts'
import type { Pod } from '../kube/pod.ts'
import type { WorkOutcome } from '../kube/work-queue.ts'
import type { RefusalMemory } from './known-limits.ts'
import { demandOf } from './node-demand.ts'
import { type Demand, type NodePlan, planNode, type PlanInput } from './node-plan.ts'
import type { NodeState } from './node-state.ts'
import type { NodeWish } from './node-wish.ts'
import type { NodeObservation } from './observation.ts'

export interface TurnOptions {
  readonly pods: ObjectCache<Pod>
  readonly refusals: RefusalMemory
  readonly shrinkDelayMs: number
  readonly attachPollMs: number
  readonly resyncMs: number
  /** What stands in the way may go any time, and only some of it tells. */
  readonly refusalMs: number
  readonly clock: Clock
  readonly random: () => number
}

/** One turn of one node. */
export interface NodeTask {
  readonly node: KubeNode | undefined
  readonly wish: NodeWish
  readonly state: NodeState
  /** What somebody else did to the status. */
  readonly edit: string | undefined
}

export interface Planned {
  readonly plan: NodePlan
  readonly demand: Demand
  /** When the plan will be another one although nothing happens. */
  readonly lookAgainMs: number | undefined
}

/** The node's plan at this moment: an excess of addresses counts once it has lasted for a while. */
export function planTurn(
  npn: NativePodNetwork,
  { node, wish, state }: NodeTask,
  observed: NodeObservation,
  { pods, refusals, shrinkDelayMs, clock }: TurnOptions,
): Planned {
  const status = npn.status.ok ? npn.status.value : noStatus
  const releases = status.elastic?.releases ?? []
  const nowMs = clock.monotonicMs()
  const demand = demandOf(node, status, pods)
  const input: PlanInput = {
    wish,
    observed,
    demand,
    releases,
    reluctant: state.patience.reluctant(observed.vnics, releases, nowMs),
    mayMark: false,
    limits: refusals.limitsFor(wish.instanceId),
  }
  const holding = planNode(input)
  const shrinking = planNode({ ...input, mayMark: true })
  if (shrinking.releases.length <= holding.releases.length) {
    state.excessSinceMs = undefined
    return { plan: holding, demand, lookAgainMs: state.patience.nextMs(nowMs) }
  }
  state.excessSinceMs ??= nowMs
  const remainingMs = state.excessSinceMs + shrinkDelayMs - nowMs
  return remainingMs > 0
    ? { plan: holding, demand, lookAgainMs: remainingMs }
    : { plan: shrinking, demand, lookAgainMs: state.patience.nextMs(nowMs) }
}

/** When a node that nothing failed with is looked at again. */
export function restAfter(
  { plan, lookAgainMs }: Planned,
  hasMoreToDo: boolean,
  { attachPollMs, resyncMs, refusalMs, random }: TurnOptions,
): WorkOutcome {
  if (hasMoreToDo) return { kind: 'after', delayMs: 0 }
  if (plan.steps.some(({ kind }) => kind === 'awaitAttachment')) return { kind: 'after', delayMs: attachPollMs }
  // Spread over time: nodes that were launched together do not come back together. Not below the time itself, or what
  // is looked at would not be old enough yet.
  const jitter = 1 + 0.4 * random()
  const recheckMs = plan.obstacle === undefined ? resyncMs : Math.min(resyncMs, refusalMs)
  return { kind: 'after', delayMs: Math.min(recheckMs * jitter, lookAgainMs ?? Infinity) }
}
