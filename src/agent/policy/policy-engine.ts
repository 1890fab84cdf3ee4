import type { PodIdentity } from '../../base/attachment.ts'
import type { Logger } from '../../base/logger.ts'
import { err, ok, type Result } from '../../base/result.ts'
import type { ApiClient } from '../../kube/api-client.ts'
import type { Random, Scheduler } from '../../kube/scheduler.ts'
import { Libnftables } from '../../nftables/libnftables.ts'
import { PolicyIndex } from '../../policy/policy-index.ts'
import { PokedWorker } from '../kube/poked-worker.ts'
import type { DeniedFlows } from '../denied-flow.ts'
import type { GuardedInterface, PodGuard } from '../pod-guard.ts'
import type { VcnPolicyConfig } from '../policy-config.ts'
import type { PolicyStatus } from '../status.ts'
import { calicoIntervalMs, CalicoSeeker } from './calico-seeker.ts'
import { CalicoWatch } from './calico-watch.ts'
import { CountedGuard } from './counted-guard.ts'
import { InterfaceBindings } from './interface-bindings.ts'
import { KernelPolicy } from './kernel-policy.ts'
import { PolicyFeed } from './policy-feed.ts'
import type { PolicyObserver } from './policy-observer.ts'
import { PolicyReports, type PolicyReportsOptions, type ReportedEngine } from './policy-reports.ts'
import { describePolicy, logProblems } from './policy-status.ts'
import { Progress } from './progress.ts'

export interface PolicyEngineOptions {
  readonly config: VcnPolicyConfig
  readonly client: Pick<ApiClient, 'list' | 'watch'>
  readonly nodeName: string
  readonly scheduler: Scheduler
  readonly random: Random
  readonly logger: Logger
}

/** Between two transactions: what comes meanwhile goes into the next one. An ADD does not wait for it. */
const spacingMs = 20
/** After a quiet time these do not wait: a pod and its namespace come by two watches, one after the other. */
const burst = 3
const staleIntervalMs = 1_000

/**
 * Enforces network policies on this node: Kubernetes' objects and the node's interfaces in, one table of nf_tables out.
 * Nothing is written before every list was there once, so that a new agent, or one without the API server, leaves in force
 * what is in the kernel. The table stays when the agent ends.
 */
export class PolicyEngine implements PodGuard {
  /** To be asked in the engine's place. */
  readonly guard: PodGuard
  readonly #options: PolicyEngineOptions
  readonly #reports: PolicyReports
  readonly #observer: PolicyObserver
  readonly #feed: PolicyFeed
  readonly #bindings: InterfaceBindings
  readonly #kernel: KernelPolicy
  readonly #calico: CalicoSeeker
  readonly #worker: PokedWorker
  readonly #progress = new Progress()
  readonly #stopping = new AbortController()
  /** Interfaces that are gone, by the revision of the table in which they are. */
  readonly #leaving = new Map<string, number>()
  #index: PolicyIndex | undefined
  /** Since when the kernel does not have all that was told. */
  #heardMs: number | undefined
  #lastSyncMs: number | undefined

  /** In the node's namespace. */
  static async create(options: PolicyEngineOptions): Promise<Result<PolicyEngine, string>> {
    const library = Libnftables.load()
    if (!library.ok) return err(`policy: ${library.error}`)
    const metrics =
      options.config.metrics === undefined ? undefined : (await import('./policy-metrics.ts')).policyMetrics
    return ok(new PolicyEngine(options, library.value, metrics))
  }

  private constructor(options: PolicyEngineOptions, library: Libnftables, metrics: PolicyReportsOptions['metrics']) {
    const { config, nodeName, scheduler, random, logger } = options
    this.#options = options
    this.#reports = new PolicyReports({ config, metrics, engine: () => this.#reported(), scheduler, logger })
    this.#observer = this.#reports.observer
    this.guard = new CountedGuard(this, this.#observer, scheduler)
    this.#calico = new CalicoSeeker(new CalicoWatch(logger), scheduler)
    this.#bindings = new InterfaceBindings(nodeName)
    this.#feed = new PolicyFeed({ ...options, onChange: () => this.#heard() })
    this.#kernel = new KernelPolicy({
      library,
      observer: this.#observer,
      onRepaired: () => this.#worker.poke(),
      logger,
    })
    this.#worker = new PokedWorker({
      name: 'policy',
      work: (signal) => this.#work(signal),
      spacingMs,
      burst,
      settleMs: 1,
      backoff: { baseMs: 200, maxMs: 10_000 },
      scheduler,
      random,
      logger,
    })
  }

  get patienceMs(): number {
    return this.#options.config.addTimeoutMs
  }

  get refusal(): string | undefined {
    return this.#calico.refusal
  }

  get isReady(): boolean {
    return this.#whyNotReady() === undefined
  }

  /** `interfaces` are those that exist. Resolves when `signal` aborts; the rules stay. */
  async run(interfaces: readonly GuardedInterface[], signal: AbortSignal): Promise<void> {
    for (const one of interfaces) this.#bindings.put(one)
    this.#worker.poke()
    try {
      await Promise.all([this.#feed.run(signal), this.#worker.run(signal), this.#reports.run(signal)])
    } finally {
      this.#stopping.abort()
      this.#progress.made()
      await this.#kernel[Symbol.asyncDispose]()
    }
  }

  async expect(pod: PodIdentity | undefined, signal: AbortSignal): Promise<Result<void, string>> {
    this.#follow()
    return this.#until(
      () => this.#whyNotReady() ?? (pod && (this.#whyUnknown(pod) ?? this.#feed.stale.outdated)),
      signal,
    )
  }

  async clear(name: string, signal: AbortSignal): Promise<Result<void, string>> {
    this.left(name)
    if (!this.#leaving.has(name)) return ok(undefined)
    void this.#program()
    return this.#until(() => (this.#leaving.has(name) ? this.#whyNotProgrammed() : undefined), signal)
  }

  async admit(one: GuardedInterface, signal: AbortSignal): Promise<Result<void, string>> {
    this.#bindings.put(one)
    let wanted: number | undefined
    const missing = (): string | undefined => {
      this.#follow()
      const unbound = this.#whyNotReady() ?? this.#whyUnbound(one)
      // All that makes it what it is to be is in the rules by now, and in every later edition of them.
      wanted = unbound === undefined ? (wanted ?? this.#kernel.revision) : undefined
      if (wanted === undefined) return unbound
      return this.#kernel.applied >= wanted ? undefined : this.#whyNotProgrammed()
    }
    if (missing() !== undefined) void this.#program()
    return this.#until(missing, signal)
  }

  left(name: string): void {
    this.#bindings.remove(name)
    if (this.#index === undefined) return
    const before = this.#kernel.revision
    this.#follow()
    if (this.#kernel.revision === before) return
    this.#leaving.set(name, this.#kernel.revision)
    this.#worker.poke()
  }

  status(): PolicyStatus {
    return describePolicy({
      refusal: this.refusal,
      problem: this.#kernel.problem,
      missing: this.#feed.missing,
      isRunning: this.#kernel.applied > 0,
      lastSyncMs: this.#lastSyncMs,
      index: this.#index,
      calico: this.#calico.seen,
      closedPorts: this.#reports.problems,
      malformed: this.#feed.malformed,
      stale: this.#feed.stale.problems,
    })
  }

  /** Of the last minute. */
  async deniedFlows(signal: AbortSignal): Promise<Result<DeniedFlows, string>> {
    const missing = this.#whyNotReady()
    return missing === undefined ? this.#reports.deniedFlows(signal) : err(missing)
  }

  #reported(): ReportedEngine {
    return {
      kernel: this.#kernel,
      feed: this.#feed,
      bindings: this.#bindings,
      index: this.#index,
      lastSyncMs: this.#lastSyncMs,
    }
  }

  #heard(): void {
    this.#heardMs ??= this.#options.scheduler.monotonicMs()
    this.#worker.poke()
  }

  async #work(signal: AbortSignal): Promise<Result<number | undefined, string>> {
    if (this.#index === undefined) {
      const againMs = this.#calico.seekFirst(this.#feed.isSynced)
      this.#progress.made()
      if (this.refusal !== undefined) return againMs === undefined ? err(this.refusal) : ok(againMs)
      if (!this.#feed.isSynced) return ok(calicoIntervalMs)
      this.#index = new PolicyIndex(this.#options.nodeName)
    }
    this.#calico.seekAgain()
    this.#follow()
    this.#feed.stale.tell()
    const applied = await this.#applied(signal)
    // That a resource is heard of again need not change anything that would be told.
    return applied.ok ? ok(this.#feed.stale.problems.length > 0 ? staleIntervalMs : calicoIntervalMs) : applied
  }

  /** Takes into the rules what was told since the last time. */
  #follow(): void {
    if (this.#index === undefined) return
    const objects = this.#feed.take()
    const change = this.#index.apply(objects)
    logProblems(change.problems, this.#options.logger)
    this.#bindings.putPods(objects.pods)
    this.#kernel.change({ ...change, interfaces: this.#bindings.takeChange() })
  }

  /** For who does not wait for the outcome: the worker goes on where this fails. */
  async #program(): Promise<void> {
    try {
      const applied = await this.#applied(this.#stopping.signal)
      if (!applied.ok) this.#worker.poke()
    } catch (error) {
      if (!this.#stopping.signal.aborted) this.#options.logger.error('policy.crashed', { error })
    }
  }

  async #applied(signal: AbortSignal): Promise<Result<void, string>> {
    const { scheduler } = this.#options
    const heardMs = this.#heardMs
    this.#heardMs = undefined
    const applied = await this.#kernel.apply(signal)
    if (applied.ok) {
      this.#lastSyncMs = scheduler.nowMs()
      if (heardMs !== undefined) this.#observer.programmed(scheduler.monotonicMs() - heardMs)
      for (const [name, revision] of this.#leaving) {
        if (this.#kernel.applied < revision) continue
        this.#leaving.delete(name)
        this.#observer.left(name)
      }
    } else {
      this.#heardMs ??= heardMs
    }
    this.#progress.made()
    return applied
  }

  async #until(missing: () => string | undefined, signal: AbortSignal): Promise<Result<void, string>> {
    for (;;) {
      const reason = missing()
      if (reason === undefined) return ok(undefined)
      if (signal.aborted || this.refusal !== undefined) return err(reason)
      if (this.#stopping.signal.aborted) return err('the agent is stopping')
      await this.#progress.next(signal)
    }
  }

  #whyNotReady(): string | undefined {
    if (this.refusal !== undefined) return this.refusal
    const { missing } = this.#feed
    if (missing.length > 0) return `the API server has not told yet: ${missing.join(', ')}`
    return this.#kernel.applied > 0 ? undefined : this.#whyNotProgrammed()
  }

  #whyUnknown(pod: PodIdentity): string | undefined {
    const unknown = this.#bindings.whyUnknown(pod)
    if (unknown !== undefined) return unknown
    const { namespace, name } = pod
    const isJudged = this.#index?.pod(`${namespace}/${name}`) !== undefined
    return isJudged
      ? undefined
      : `the API server has not told of namespace ${namespace}, which policies select by labels`
  }

  #whyUnbound({ name, pod }: GuardedInterface): string | undefined {
    if (pod !== undefined) return this.#whyUnknown(pod)
    return this.#bindings.subjectOf(name).kind === 'closed' ? `nobody knows the pod of ${name}` : undefined
  }

  #whyNotProgrammed(): string {
    return this.#kernel.problem ?? 'the kernel does not have the rules yet'
  }
}
