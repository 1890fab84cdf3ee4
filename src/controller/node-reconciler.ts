import type { Logger } from '../base/logger.ts'
import { formatFieldErrors } from '../base/schema.ts'
import type { ApiClient } from '../kube/api-client.ts'
import type { ObjectCache } from '../kube/cache.ts'
import type { EventFacts } from '../kube/event-correlator.ts'
import type { NativePodNetwork } from '../kube/native-pod-network.ts'
import { noStatus } from '../kube/native-pod-network-status.ts'
import type { KubeNode } from '../kube/node.ts'
import { nativePodNetworks } from '../kube/resources.ts'
import type { WorkOutcome } from '../kube/work-queue.ts'
import type { Instance } from '../oci/core-services.ts'
import type { InstanceOcid } from '../oci/ocid.ts'
import { adviseOnObservation, adviseOnStep, type Advice } from './failure-advice.ts'
import { instanceOf } from './node-demand.ts'
import { eventsOf, statusEdited } from './node-events.ts'
import { NodeObserver, type ObserverOptions } from './node-observer.ts'
import { describeOutcome, instanceNotRunning, type Outcome } from './node-status.ts'
import { makeNodeWish, type NodeDefaults } from './node-wish.ts'
import type { NpnLifecycle } from './npn-lifecycle.ts'
import { addressCount, type NodeObservation } from './observation.ts'
import type { StatusWriter, Written } from './status-writer.ts'
import { NodeState } from './node-state.ts'
import type { StepApplier } from './step-applier.ts'
import { type NodeTask, planTurn, restAfter, type TurnOptions } from './turn-plan.ts'

export interface ReconcilerOptions extends TurnOptions {
  readonly defaults: NodeDefaults
  readonly releasePatienceMs: number
  readonly npns: ObjectCache<NativePodNetwork>
  readonly nodes: ObjectCache<KubeNode>
  readonly observer: ObserverOptions
  readonly applier: StepApplier
  readonly client: Pick<ApiClient, 'get'>
  readonly writer: StatusWriter
  readonly lifecycle: NpnLifecycle
  /** How long a resource without a node is kept although its instance is not found. */
  readonly graceMs: number
  /** Where orphans are looked for. */
  readonly noticeCompartment: (id: Instance['compartmentId']) => void
  readonly record: (facts: EventFacts) => void
  readonly logger: Logger
}

/** Index of nodes by the name that their resource has. */
export const nodesByNpn = 'npn'

/** Steps come in rounds; a node that needs more of them gets its next turn after the others. */
const roundsATurn = 16
const mostConflicts = 4
/** One node after the other: observe → plan → apply → status, again and again. Success is not the end. */
export class NodeReconciler {
  readonly #options: ReconcilerOptions
  readonly #states = new Map<string, NodeState>()

  constructor(options: ReconcilerOptions) {
    this.#options = options
  }

  /** Whether this version of a resource is the answer to a write of ours, and so no news. */
  isOwnWrite(npn: NativePodNetwork): boolean {
    return this.#states.get(npn.metadata.name)?.isKnown(npn) === true
  }

  /** `key` is the name of the resource, whether it exists or only its node. */
  async reconcile(key: string, signal: AbortSignal): Promise<WorkOutcome> {
    const { defaults, npns, nodes, lifecycle } = this.#options
    let npn = this.#newest(key)
    const node = nodes.byIndex(nodesByNpn, key)[0]
    if (npn === undefined) {
      const instanceId = node && instanceOf(node)
      if (node === undefined || instanceId === undefined) {
        this.#states.delete(key)
        return { kind: 'done' }
      }
      // Somebody else's, of another name.
      if (npns.byIndex(npnsByInstance, instanceId).length > 0) return { kind: 'done' }
      const created = this.#state(key, instanceId)
      const made = await lifecycle.create(key, node, (abort) => created.observer.instance(abort), signal)
      if (made.kind !== 'created') return made
      npn = created.newest(made.npn)
    }
    if (npn.metadata.deletionTimestamp !== undefined) return { kind: 'done' }
    const wish = npn.spec.ok ? makeNodeWish(npn.spec.value, defaults) : npn.spec
    if (!wish.ok) return this.#refuse(npn, invalidSpec(formatFieldErrors(wish.error)), signal)
    const elder = this.#elderOf(npn, wish.value.instanceId)
    if (elder !== undefined) return this.#refuse(npn, duplicate(wish.value.instanceId, elder), signal)
    const state = this.#state(key, wish.value.instanceId)
    const edit = state.findEdit(npn)
    if (edit !== undefined) {
      // Whoever writes there may be another controller, which has changed the cloud, too.
      state.observer.doubt()
      this.#options.record(statusEdited(npn, edit))
    }
    return this.#work(npn, { node, wish: wish.value, state, edit }, signal)
  }

  async #work(npn: NativePodNetwork, task: NodeTask, signal: AbortSignal): Promise<WorkOutcome> {
    const { lifecycle } = this.#options
    const { node, state } = task
    const observed = await this.#observe(npn, state, signal)
    if (!observed.ok) {
      // 404 is also what a missing policy gives: only without a node is the instance taken for gone.
      const isGone = observed.error.during === 'GetInstance' && observed.error.error.kind === 'notFound'
      if (isGone && node === undefined && this.#isOld(npn))
        return lifecycle.remove(npn, 'neither instance nor node', signal)
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
    const pending = state.settlePending(observed.value)
    if (pending === 'unseen') return { kind: 'after', delayMs: this.#options.attachPollMs }
    const failure = pending === 'undone' ? adviseOnStep({ kind: 'attachUndone' }) : undefined
    return this.#turn(npn, task, observed.value, failure, signal)
  }

  /** Looks once more, at everything, where the resource names what was not seen. */
  async #observe(npn: NativePodNetwork, state: NodeState, signal: AbortSignal): ReturnType<NodeObserver['observe']> {
    const observed = await state.observer.observe(signal)
    if (!observed.ok || !state.isAheadOf(npn, observed.value)) return observed
    state.observer.doubt()
    return state.observer.observe(signal)
  }

  /** Rounds of plan, steps and status, until nothing is left to do, or something has to be waited for. */
  async #turn(
    first: NativePodNetwork,
    task: NodeTask,
    firstObserved: NodeObservation,
    failed: Advice | undefined,
    signal: AbortSignal,
  ): Promise<WorkOutcome> {
    const { applier } = this.#options
    const { state, wish, edit } = task
    let npn = first
    let observed = firstObserved
    let failure = failed
    let conflicts = 0
    for (let round = 1; ; round++) {
      const { plan } = planTurn(npn, task, observed, this.#options)
      const doable = failure === undefined ? plan.steps.filter(({ kind }) => kind !== 'awaitAttachment') : []
      if (doable.length > 0 && round <= roundsATurn) {
        const [worst] = await applier.apply(doable, observed, state, signal)
        failure = worst === undefined ? undefined : adviseOnStep(worst)
        const seen = await state.observer.observe(signal)
        if (!seen.ok) failure ??= adviseOnObservation(seen.error)
        else observed = seen.value
      }
      // Planned again for the status: what was done just now is part of it.
      const after = planTurn(npn, task, observed, this.#options)
      const reached = { wish, observed, plan: after.plan, used: after.demand.used }
      const outcome: Outcome = { kind: 'planned', ...reached, ...(failure && { failure }), ...(edit && { edit }) }
      const written = await this.#write(npn, state, outcome, signal)
      if (written.kind === 'stale') {
        const fresh = ++conflicts > mostConflicts ? undefined : await this.#read(npn, state, signal)
        if (fresh === undefined) return { kind: 'retry' }
        // Not the agent but another controller, which has changed the cloud, too: begin with a look.
        if (state.findEdit(fresh) !== undefined || state.isAheadOf(fresh, observed))
          return { kind: 'after', delayMs: 0 }
        npn = fresh
        continue
      }
      if (written.kind === 'failed' || failure !== undefined) return { kind: 'retry' }
      if (written.kind === 'written') npn = written.object
      if (doable.length === 0 || round > roundsATurn) return restAfter(after, doable.length > 0, this.#options)
    }
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
    if (written.kind === 'failed') {
      state?.lostTrack()
      state?.observer.doubt()
    }
    if (written.kind !== 'written') return written
    // The version at hand may be older than the last write, which was told of then.
    const told = state?.told ?? previous
    for (const event of eventsOf(npn, told, facts, planned && addressCount(planned.observed.vnics))) record(event)
    state?.wrote(npn, written.object)
    return written
  }

  /** The agent was faster: its words are heard before ours are said again. */
  async #read(npn: NativePodNetwork, state: NodeState, signal: AbortSignal): Promise<NativePodNetwork | undefined> {
    const { name, uid } = npn.metadata
    const fresh = await this.#options.client.get(nativePodNetworks, { name }, signal)
    if (!fresh.ok || fresh.value.metadata.uid !== uid) return undefined
    state.read(npn, fresh.value)
    return fresh.value
  }

  /** A resource may be there before its instance is seen: Karpenter writes it first. */
  #isOld({ metadata }: NativePodNetwork): boolean {
    const createdMs = Date.parse(metadata.creationTimestamp ?? '')
    return this.#options.clock.nowMs() - createdMs >= this.#options.graceMs
  }

  #newest(key: string): NativePodNetwork | undefined {
    const cached = this.#options.npns.get(key)
    return cached === undefined ? undefined : (this.#states.get(key)?.newest(cached) ?? cached)
  }

  #state(key: string, instanceId: InstanceOcid): NodeState {
    const found = this.#states.get(key)
    if (found?.instanceId === instanceId) return found
    const { observer, releasePatienceMs } = this.#options
    const state = new NodeState(instanceId, new NodeObserver(instanceId, observer), releasePatienceMs)
    this.#states.set(key, state)
    return state
  }

  /** Two resources for one instance would take turns at undoing each other: the older one counts. */
  #elderOf(npn: NativePodNetwork, instanceId: InstanceOcid): string | undefined {
    const same = this.#options.npns.byIndex(npnsByInstance, instanceId)
    const [eldest] = same.toSorted((a, b) => age(a).localeCompare(age(b)))
    return eldest === undefined || eldest.metadata.uid === npn.metadata.uid ? undefined : eldest.metadata.name
  }
}

export const npnsByInstance = 'instance'

function age({ metadata }: NativePodNetwork): string {
  return `${metadata.creationTimestamp ?? ''} ${metadata.name}`
}

function invalidSpec(problem: string): Advice {
  const message = `${problem}; correct spec`
  return { reason: 'InvalidSpec', message, npnReason: 'FailedToGetCR', condition: 'Accepted' }
}

function duplicate(instanceId: InstanceOcid, elder: string): Advice {
  const message = `NativePodNetwork ${elder} is for instance ${instanceId} already; delete one of the two`
  return { reason: 'DuplicateInstance', message, npnReason: 'FailedToGetCR', condition: 'Accepted' }
}
