import type { Clock } from '../base/clock.ts'
import type { Logger } from '../base/logger.ts'
import { formatFieldErrors } from '../base/schema.ts'
import type { ObjectCache } from '../kube/cache.ts'
import type { EventFacts } from '../kube/event-correlator.ts'
import type { NativePodNetwork } from '../kube/native-pod-network.ts'
import { noStatus } from '../kube/native-pod-network-status.ts'
import type { KubeNode } from '../kube/node.ts'
import type { Pod } from '../kube/pod.ts'
import type { WorkOutcome } from '../kube/work-queue.ts'
import type { Instance } from '../oci/core-services.ts'
import type { InstanceOcid } from '../oci/ocid.ts'
import { adviseOnObservation, adviseOnStep, type Advice } from './failure-advice.ts'
import type { RefusalMemory } from './known-limits.ts'
import { demandOf, instanceOf } from './node-demand.ts'
import { eventsOf, statusEdited } from './node-events.ts'
import { NodeObserver, type ObserverOptions } from './node-observer.ts'
import { type NodePlan, planNode, type PlanInput } from './node-plan.ts'
import { describeOutcome, instanceNotRunning, type Outcome } from './node-status.ts'
import { makeNodeWish, type NodeDefaults, type NodeWish } from './node-wish.ts'
import type { NpnLifecycle } from './npn-lifecycle.ts'
import { addressCount, type NodeObservation } from './observation.ts'
import type { StatusWriter, Written } from './status-writer.ts'
import type { NodeHandle, StepApplier } from './step-applier.ts'

export interface ReconcilerOptions {
  readonly defaults: NodeDefaults
  readonly resyncMs: number
  readonly shrinkDelayMs: number
  readonly attachPollMs: number
  readonly npns: ObjectCache<NativePodNetwork>
  readonly nodes: ObjectCache<KubeNode>
  readonly pods: ObjectCache<Pod>
  readonly observer: ObserverOptions
  readonly applier: StepApplier
  readonly refusals: RefusalMemory
  readonly writer: StatusWriter
  readonly lifecycle: NpnLifecycle
  /** Where orphans are looked for. */
  readonly noticeCompartment: (id: Instance['compartmentId']) => void
  readonly record: (facts: EventFacts) => void
  readonly clock: Clock
  readonly random: () => number
  readonly logger: Logger
}

/** Index of nodes by the name that their resource has. */
export const nodesByNpn = 'npn'

/** What is kept of a node between two rounds of work; a new controller begins without it. */
interface NodeState extends NodeHandle {
  readonly instanceId: InstanceOcid
  pendingMisses: number
  excessSinceMs: number | undefined
  /** Versions of the resource that our own writes have replaced: the cache may still show them. */
  readonly superseded: Set<string>
  written: NativePodNetwork | undefined
}

/** Steps come in rounds; a node that needs more of them gets its next turn after the others. */
const roundsATurn = 16
/** Lists without an attachment that was begun, before it is taken for gone. */
const missesBelieved = 3
/** What stands in the way may go any time, and only some of it tells. */
const obstacleRecheckMs = 30_000

/** One node after the other: observe → plan → apply → status, again and again. Success is not the end. */
export class NodeReconciler {
  readonly #options: ReconcilerOptions
  readonly #states = new Map<string, NodeState>()

  constructor(options: ReconcilerOptions) {
    this.#options = options
  }

  /** `key` is the name of the resource, whether it exists or only its node. */
  async reconcile(key: string, signal: AbortSignal): Promise<WorkOutcome> {
    const { defaults, nodes, lifecycle } = this.#options
    const npn = this.#newest(key)
    const node = nodes.byIndex(nodesByNpn, key)[0]
    if (npn === undefined) {
      this.#states.delete(key)
      const instanceId = node && instanceOf(node)
      if (node === undefined || instanceId === undefined) return { kind: 'done' }
      return lifecycle.create(key, node, instanceId, signal)
    }
    if (npn.metadata.deletionTimestamp !== undefined) return { kind: 'done' }
    const wish = npn.spec.ok ? makeNodeWish(npn.spec.value, defaults) : npn.spec
    if (!wish.ok) return this.#refuse(npn, invalidSpec(formatFieldErrors(wish.error)), signal)
    const elder = this.#elderOf(npn, wish.value.instanceId)
    if (elder !== undefined) return this.#refuse(npn, duplicate(wish.value.instanceId, elder), signal)
    return this.#work(npn, node, wish.value, this.#state(key, wish.value.instanceId), signal)
  }

  async #work(
    npn: NativePodNetwork,
    node: KubeNode | undefined,
    wish: NodeWish,
    state: NodeState,
    signal: AbortSignal,
  ): Promise<WorkOutcome> {
    const { lifecycle } = this.#options
    this.#complainOfEdits(npn)
    const observed = await state.observer.observe(signal)
    if (!observed.ok) {
      // 404 is also what a missing policy gives: only without a node is the instance taken for gone.
      const isGone = observed.error.during === 'GetInstance' && observed.error.error.kind === 'notFound'
      if (isGone && node === undefined) return lifecycle.remove(npn, 'neither instance nor node', signal)
      await this.#write(npn, state, { kind: 'unplanned', advice: adviseOnObservation(observed.error) }, signal)
      return { kind: 'retry' }
    }
    const { instance } = observed.value
    this.#options.noticeCompartment(instance.compartmentId)
    if (instance.lifecycleState === 'TERMINATED') return lifecycle.remove(npn, 'the instance is terminated', signal)
    if (instance.lifecycleState !== 'RUNNING') {
      await this.#write(npn, state, { kind: 'unplanned', advice: instanceNotRunning(instance) }, signal)
      return { kind: 'retry' }
    }
    const pending = settlePending(observed.value, state)
    if (pending === 'unseen') return { kind: 'after', delayMs: this.#options.attachPollMs }
    const failure = pending === 'undone' ? adviseOnStep({ kind: 'attachUndone' }) : undefined
    return this.#turn(npn, node, wish, state, observed.value, failure, signal)
  }

  /** Rounds of plan, steps and status, until nothing is left to do, or something has to be waited for. */
  async #turn(
    first: NativePodNetwork,
    node: KubeNode | undefined,
    wish: NodeWish,
    state: NodeState,
    firstObserved: NodeObservation,
    failed: Advice | undefined,
    signal: AbortSignal,
  ): Promise<WorkOutcome> {
    const { applier } = this.#options
    let npn = first
    let observed = firstObserved
    let failure = failed
    for (let round = 1; ; round++) {
      const { plan, input, lookAgainMs } = this.#plan(npn, node, wish, state, observed)
      const doable = failure === undefined ? plan.steps.filter(({ kind }) => kind !== 'awaitAttachment') : []
      if (doable.length > 0 && round <= roundsATurn) {
        const [worst] = await applier.apply(doable, observed, state, signal)
        failure = worst === undefined ? undefined : adviseOnStep(worst)
        const seen = await state.observer.observe(signal)
        if (!seen.ok) failure ??= adviseOnObservation(seen.error)
        else observed = seen.value
      }
      // Planned again for the status: what was done just now is part of it.
      const after = this.#plan(npn, node, wish, state, observed)
      const { used } = input.demand
      const outcome: Outcome = { kind: 'planned', wish, observed, plan: after.plan, used, ...(failure && { failure }) }
      const written = await this.#write(npn, state, outcome, signal)
      if (written.kind === 'stale') return { kind: 'after', delayMs: 50 }
      if (written.kind === 'failed' || failure !== undefined) return { kind: 'retry' }
      if (written.kind === 'written') npn = written.object
      if (doable.length === 0 || round > roundsATurn) return this.#rest(after.plan, lookAgainMs, doable.length > 0)
    }
  }

  #plan(
    npn: NativePodNetwork,
    node: KubeNode | undefined,
    wish: NodeWish,
    state: NodeState,
    observed: NodeObservation,
  ): { readonly plan: NodePlan; readonly input: PlanInput; readonly lookAgainMs: number | undefined } {
    const { pods, refusals, shrinkDelayMs, clock } = this.#options
    const status = npn.status.ok ? npn.status.value : noStatus
    const input: PlanInput = {
      wish,
      observed,
      demand: demandOf(node, status, pods),
      releases: status.elastic?.releases ?? [],
      mayMark: false,
      limits: refusals.limitsFor(wish.instanceId),
    }
    const holding = planNode(input)
    const shrinking = planNode({ ...input, mayMark: true })
    if (shrinking.releases.length <= holding.releases.length) {
      state.excessSinceMs = undefined
      return { plan: holding, input, lookAgainMs: undefined }
    }
    const nowMs = clock.monotonicMs()
    state.excessSinceMs ??= nowMs
    const remainingMs = state.excessSinceMs + shrinkDelayMs - nowMs
    return remainingMs > 0
      ? { plan: holding, input, lookAgainMs: remainingMs }
      : { plan: shrinking, input, lookAgainMs: undefined }
  }

  #rest(plan: NodePlan, lookAgainMs: number | undefined, hasMoreToDo: boolean): WorkOutcome {
    const { attachPollMs, resyncMs, random } = this.#options
    if (hasMoreToDo) return { kind: 'after', delayMs: 0 }
    if (plan.steps.some(({ kind }) => kind === 'awaitAttachment')) return { kind: 'after', delayMs: attachPollMs }
    // Spread over time: nodes that were launched together do not come back together.
    const jitter = 0.8 + 0.4 * random()
    const recheckMs = plan.obstacle === undefined ? resyncMs : Math.min(resyncMs, obstacleRecheckMs)
    return { kind: 'after', delayMs: Math.min(recheckMs * jitter, lookAgainMs ?? Infinity) }
  }

  // The resource has to change first, and that is noticed.
  async #refuse(npn: NativePodNetwork, advice: Advice, signal: AbortSignal): Promise<WorkOutcome> {
    const state = this.#states.get(npn.metadata.name)
    const written = await this.#write(npn, state, { kind: 'unplanned', advice }, signal)
    return written.kind === 'written' || written.kind === 'unchanged' ? { kind: 'done' } : { kind: 'retry' }
  }

  async #write(
    npn: NativePodNetwork,
    state: NodeState | undefined,
    outcome: Outcome,
    signal: AbortSignal,
  ): Promise<Written> {
    const { writer, record } = this.#options
    const previous = npn.status.ok ? npn.status.value : noStatus
    const facts = describeOutcome(outcome, previous)
    const planned = outcome.kind === 'planned' ? outcome : undefined
    const written = await writer.write(npn, { facts, ...(planned && { planned }) }, signal)
    if (written.kind !== 'written') return written
    for (const event of eventsOf(npn, previous, facts, planned && addressCount(planned.observed.vnics))) record(event)
    state?.superseded.add(npn.metadata.resourceVersion)
    if (state !== undefined) state.written = written.object
    return written
  }

  /** The cache's version, or the answer to our own last write while the cache has not heard of it. */
  #newest(key: string): NativePodNetwork | undefined {
    const cached = this.#options.npns.get(key)
    const state = this.#states.get(key)
    if (cached === undefined || state?.written === undefined) return cached
    if (cached.metadata.uid === state.written.metadata.uid && state.superseded.has(cached.metadata.resourceVersion)) {
      return state.written
    }
    state.superseded.clear()
    state.written = undefined
    return cached
  }

  #state(key: string, instanceId: InstanceOcid): NodeState {
    const found = this.#states.get(key)
    if (found?.instanceId === instanceId) return found
    const state: NodeState = {
      instanceId,
      observer: new NodeObserver(instanceId, this.#options.observer),
      tokenSalt: 0,
      pendingAttachment: undefined,
      pendingMisses: 0,
      excessSinceMs: undefined,
      superseded: new Set(),
      written: undefined,
    }
    this.#states.set(key, state)
    return state
  }

  /** Two resources for one instance would take turns at undoing each other: the older one counts. */
  #elderOf(npn: NativePodNetwork, instanceId: InstanceOcid): string | undefined {
    const same = this.#options.npns.byIndex(npnsByInstance, instanceId)
    const [eldest] = same.toSorted((a, b) => age(a).localeCompare(age(b)))
    return eldest === undefined || eldest.metadata.uid === npn.metadata.uid ? undefined : eldest.metadata.name
  }

  #complainOfEdits(npn: NativePodNetwork): void {
    if (npn.status.ok) return
    this.#options.record(statusEdited(npn, formatFieldErrors(npn.status.error)))
  }
}

export const npnsByInstance = 'instance'

function age({ metadata }: NativePodNetwork): string {
  return `${metadata.creationTimestamp ?? ''} ${metadata.name}`
}

/** Looks for an attachment that was begun here, and whether it ended without a VNIC. */
function settlePending({ attachments }: NodeObservation, state: NodeState): 'settled' | 'unseen' | 'undone' {
  if (state.pendingAttachment === undefined) return 'settled'
  const pending = attachments.find(({ id }) => id === state.pendingAttachment)
  // A list may be older than the answer that named the attachment; after a while it is really gone.
  if (pending === undefined && ++state.pendingMisses < missesBelieved) return 'unseen'
  if (pending?.lifecycleState === 'ATTACHING') return 'settled'
  state.pendingAttachment = undefined
  state.pendingMisses = 0
  if (pending?.lifecycleState === 'ATTACHED') return 'settled'
  state.tokenSalt++
  return 'undone'
}

function invalidSpec(problem: string): Advice {
  const message = `${problem}; correct spec`
  return { reason: 'InvalidSpec', message, npnReason: 'FailedToGetCR', condition: 'Accepted' }
}

function duplicate(instanceId: InstanceOcid, elder: string): Advice {
  const message = `NativePodNetwork ${elder} is for instance ${instanceId} already; delete one of the two`
  return { reason: 'DuplicateInstance', message, npnReason: 'FailedToGetCR', condition: 'Accepted' }
}
