import type { Logger } from '../../base/logger.ts'
import type { ApiClient } from '../../kube/api-client.ts'
import { formatApiError } from '../../kube/api-error.ts'
import type { ObjectCache } from '../../kube/cache.ts'
import type { EventRecorder } from '../../kube/event-recorder.ts'
import { objectKey } from '../../kube/object.ts'
import { referenceTo } from '../../kube/object-reference.ts'
import { runWorkers, type WorkOutcome, WorkQueue } from '../../kube/work-queue.ts'
import { systemScheduler } from '../../kube/scheduler.ts'
import type { LabState } from '../lab-state.ts'
import { listPods, readPod } from '../lab-store.ts'
import { addPod, deletePod, describePodFailure, forgetPod } from '../pods.ts'
import { type ClusterPod, clusterPods, isPodOver, statusText } from './cluster-pod.ts'
import { LocalPod } from './local-pod.ts'
import { isReported, podStatus } from './pod-status.ts'

export interface PodRunnerOptions {
  readonly client: ApiClient
  readonly pods: ObjectCache<ClusterPod>
  readonly events: Pick<EventRecorder, 'record'>
  /** The lab as it is now: nodes come and go. */
  readonly lab: () => LabState
  readonly logDirectory: string
  readonly meshDirectory: string
  readonly logger: Logger
}

const podsAtOnce = 8
const firstRetryMs = 500
const longestRetryMs = 10_000

/**
 * The kubelets of all of a lab's nodes in one: makes of every pod that is bound to one of them a namespace, attaches it by
 * real CNI executions on its node, runs its containers as processes, and reports. Begins with what an earlier process left.
 */
export class PodRunner {
  readonly #options: PodRunnerOptions
  readonly #queue: WorkQueue
  readonly #locals = new Map<string, LocalPod>()

  constructor(options: PodRunnerOptions) {
    this.#options = options
    this.#queue = new WorkQueue({
      scheduler: systemScheduler,
      random: Math.random,
      baseDelayMs: firstRetryMs,
      maxDelayMs: longestRetryMs,
    })
    for (const record of listPods(options.lab().name)) {
      const key = objectKey(record)
      this.#locals.set(key, new LocalPod(record))
      this.#queue.add(key)
    }
  }

  /** The pod may have changed, or gone. */
  look(key: string): void {
    this.#queue.add(key)
  }

  /** A node has gone. */
  lookAtAll(): void {
    for (const key of this.#locals.keys()) this.#queue.add(key)
  }

  /** The cache must have held all pods once: what is not in it is taken down. */
  async run(signal: AbortSignal): Promise<void> {
    const crashed = (key: string, error: unknown): void => this.#options.logger.error('lab.pod.failed', { key, error })
    await runWorkers(this.#queue, podsAtOnce, (key) => this.#reconcile(key, signal), crashed, signal)
    for (const local of this.#locals.values()) local.abandon()
  }

  async #reconcile(key: string, signal: AbortSignal): Promise<WorkOutcome> {
    const pod = this.#options.pods.get(key)
    const local = this.#locals.get(key)
    const isOther = pod?.metadata.uid !== local?.record.uid
    if (local !== undefined && isOther) return this.#end(key, local, pod, signal)
    if (pod?.nodeName === undefined) return { kind: 'done' }
    // What a cluster's pod garbage collector does; a pod on a node that we never had is somebody else's.
    if (!this.#isOurs(pod.nodeName)) return local ? this.#finish(key, pod, local, signal) : { kind: 'done' }
    if (pod.metadata.deletionTimestamp !== undefined) return this.#finish(key, pod, local, signal)
    if (isPodOver(pod)) {
      return local === undefined ? { kind: 'done' } : this.#end(key, local, undefined, signal)
    }
    if (pod.hostNetwork)
      return this.#report(pod, undefined, 'the lab runs no pods in the network of their node', signal)
    if (local === undefined) return this.#attach(key, pod, signal)
    if (local.record.address === undefined) return this.#end(key, local, pod, signal)
    if (!local.isStarted) await this.#start(key, pod, local)
    return this.#report(pod, local, undefined, signal)
  }

  /** Its object is gone or another by now, or it never got an address. */
  async #end(key: string, local: LocalPod, next: ClusterPod | undefined, signal: AbortSignal): Promise<WorkOutcome> {
    const problem = await this.#tearDown(key, local, next?.graceMs ?? 0, signal)
    if (problem !== undefined) return this.#retry(key, problem)
    return next === undefined ? { kind: 'done' } : { kind: 'after', delayMs: 0 }
  }

  /** Asked to end: stop, DEL, and only then the object goes, so that nobody takes its address for free before. */
  async #finish(key: string, pod: ClusterPod, local: LocalPod | undefined, signal: AbortSignal): Promise<WorkOutcome> {
    const { name, namespace, uid } = pod.metadata
    const problem = local && (await this.#tearDown(key, local, pod.graceMs, signal))
    if (problem !== undefined) return this.#retry(key, problem, pod)
    const options = { gracePeriodSeconds: 0, uid }
    const deleted = await this.#options.client.delete(clusterPods, { name, namespace }, options, signal)
    const isGone = deleted.ok || deleted.error.kind === 'notFound' || deleted.error.kind === 'conflict'
    return isGone ? { kind: 'done' } : this.#retry(key, formatApiError(deleted.error))
  }

  async #attach(key: string, pod: ClusterPod, signal: AbortSignal): Promise<WorkOutcome> {
    const { name, namespace, uid } = pod.metadata
    const ports = pod.containers.flatMap((container) =>
      container.ports.flatMap(({ hostPort, containerPort, protocol }) =>
        hostPort === undefined ? [] : [{ hostPort, containerPort, protocol: lowerCase[protocol] }],
      ),
    )
    const wanted = { name, namespace, uid, node: pod.nodeName ?? '', ports }
    const added = await addPod(this.#options.lab(), wanted, signal)
    if (!added.ok) {
      const problem = describePodFailure(added.error)
      await this.#report(pod, undefined, problem, signal)
      return this.#retry(key, problem, pod)
    }
    this.#locals.set(key, new LocalPod(added.value))
    return { kind: 'after', delayMs: 0 }
  }

  async #start(key: string, pod: ClusterPod, local: LocalPod): Promise<void> {
    const { logDirectory, meshDirectory } = this.#options
    const nodeNetns = this.#node(pod.nodeName ?? '')?.netns ?? ''
    const changed = (): void => this.look(key)
    await local.start({ pod, record: local.record, nodeNetns, logDirectory, meshDirectory, changed })
  }

  async #report(
    pod: ClusterPod,
    local: LocalPod | undefined,
    problem: string | undefined,
    signal: AbortSignal,
  ): Promise<WorkOutcome> {
    const { name, namespace } = pod.metadata
    const since = Date.parse(statusText(pod, 'startTime') ?? '')
    const seen = {
      startedAtMs: Number.isNaN(since) ? (local?.sinceMs ?? Date.now()) : since,
      hostIp: this.#hostIp(pod.nodeName ?? ''),
      address: local?.record.address,
      problem,
      containers: local?.observe() ?? [],
    }
    const status = podStatus(pod, seen, Date.now())
    if (isReported(pod, status)) return { kind: 'done' }
    const patch = { type: 'merge', body: { status } } as const
    const patched = await this.#options.client.patchStatus(clusterPods, { name, namespace }, patch, signal)
    if (patched.ok || patched.error.kind === 'notFound') return { kind: 'done' }
    return this.#retry(objectKey(pod.metadata), formatApiError(patched.error))
  }

  async #tearDown(key: string, local: LocalPod, graceMs: number, signal: AbortSignal): Promise<string | undefined> {
    await local.stop(graceMs)
    const lab = this.#options.lab()
    // The record may have gone already: by hand, or in an earlier attempt whose end nobody heard of.
    if (this.#isOurs(local.record.node) && readPod(lab.name, local.record.name).ok) {
      const deleted = await deletePod(lab, local.record.name, signal)
      if (!deleted.ok) return describePodFailure(deleted.error)
    } else {
      forgetPod(lab, local.record)
    }
    this.#locals.delete(key)
    return undefined
  }

  #retry(key: string, problem: string, pod?: ClusterPod): WorkOutcome {
    this.#options.logger.warn('lab.pod.retried', { key, problem })
    if (pod !== undefined) {
      const reason = pod.metadata.deletionTimestamp === undefined ? 'FailedCreatePodSandBox' : 'FailedKillPod'
      this.#options.events.record({ regarding: referenceTo(clusterPods, pod), type: 'Warning', reason, note: problem })
    }
    return { kind: 'retry' }
  }

  #isOurs(node: string): boolean {
    return this.#node(node) !== undefined
  }

  #node(name: string): LabState['nodes'][number] | undefined {
    return this.#options.lab().nodes.find((node) => node.name === name)
  }

  #hostIp(node: string): string {
    const primary = this.#options.lab().fabric.vnics.find((vnic) => vnic.node === node && vnic.isPrimary)
    return primary?.primaryAddress ?? ''
  }
}

const lowerCase = { TCP: 'tcp', UDP: 'udp', SCTP: 'sctp' } as const
