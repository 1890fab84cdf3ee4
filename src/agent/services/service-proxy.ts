import type { Logger } from '../../base/logger.ts'
import { err, ok, type Result } from '../../base/result.ts'
import type { ApiClient } from '../../kube/api-client.ts'
import type { Random, Scheduler } from '../../kube/scheduler.ts'
import { Libnftables } from '../../nftables/libnftables.ts'
import { ServiceIndex, type TableChange } from '../../proxy/service-index.ts'
import type { ProxyNode } from '../../proxy/service-table.ts'
import type { ServicesConfig } from '../config.ts'
import { PokedWorker } from '../kube/poked-worker.ts'
import type { ServiceProxyStatus } from '../status.ts'
import { applyConntrackLimits } from './conntrack-limits.ts'
import { healthAnswers } from './health-answers.ts'
import { KernelRules } from './kernel-rules.ts'
import type { CountingObserver } from './metrics-answer.ts'
import { ObjectFeed } from './object-feed.ts'
import { isEligible, ProxyHealth } from './proxy-health.ts'
import { nobodyCounts, type ProxyFigures, type ProxyObserver } from './proxy-observer.ts'
import { ProxyServers } from './proxy-servers.ts'
import { describeProxy } from './proxy-status.ts'
import { RivalWatch } from './rival-watch.ts'

export interface ServiceProxyOptions {
  readonly config: ServicesConfig
  readonly client: Pick<ApiClient, 'list' | 'watch'>
  readonly nodeName: string
  readonly scheduler: Scheduler
  readonly random: Random
  readonly logger: Logger
}

/** Between two transactions: what comes meanwhile goes into the next one. */
const spacingMs = 30
/** After a quiet time these do not wait: a Service and its endpoints come by two watches, one after the other. */
const burst = 3
/** Before a transaction is planned: it costs less than a second one for what the other watch brings at the same time. */
const settleMs = 1
/** 0.3 ms a look where there is no rival, 30 ms where one has 20,000 chains. */
const rivalIntervalMs = 10_000

/**
 * Translates Services' addresses to pods' on this node: Kubernetes' objects in, one table of nf_tables out. It keeps away
 * where kube-proxy is. The table stays when the agent ends, and the next agent's takes its place.
 */
export class ServiceProxy {
  readonly worker: PokedWorker
  readonly #options: ServiceProxyOptions
  readonly #observer: ProxyObserver
  readonly #health: ProxyHealth
  readonly #rivals: RivalWatch
  readonly #servers: ProxyServers
  readonly #feed: ObjectFeed
  readonly #kernel: KernelRules
  #index: ServiceIndex | undefined
  #node: ProxyNode | undefined
  #refusal: string | undefined
  #rivalsSoughtMs = -Infinity
  #lastQueuedMs: number | undefined
  #hasLimits = false

  /** In the node's namespace. The metrics library is loaded only where metrics are asked for. */
  static async create(options: ServiceProxyOptions): Promise<Result<ServiceProxy, string>> {
    const library = Libnftables.load()
    if (!library.ok) return err(`services: ${library.error}`)
    const count =
      options.config.metrics === undefined ? undefined : (await import('./metrics-answer.ts')).countAndAnswer
    return ok(new ServiceProxy(options, library.value, count))
  }

  private constructor(
    options: ServiceProxyOptions,
    library: Libnftables,
    count: ((figures: () => ProxyFigures) => CountingObserver) | undefined,
  ) {
    const { config, scheduler, random, logger } = options
    this.#options = options
    const counting = count?.(() => this.#figures())
    this.#observer = counting?.observer ?? nobodyCounts
    this.#health = new ProxyHealth(scheduler)
    this.#rivals = new RivalWatch(logger)
    this.worker = new PokedWorker({
      name: 'services',
      work: (signal) => this.#work(signal),
      spacingMs,
      burst,
      settleMs,
      backoff: { baseMs: 200, maxMs: 30_000 },
      scheduler,
      random,
      logger,
    })
    this.#feed = new ObjectFeed({ ...options, onChange: (what) => this.#heard(what) })
    this.#servers = new ProxyServers({
      config,
      isProxyHealthy: () => this.#health.isHealthy,
      healthAnswer: healthAnswers({
        health: this.#health,
        isNodeEligible: () => isEligible(this.#feed.kubeNode),
        onAnswer: (path, code) => this.#observer.answered(path, code),
      }),
      metricsAnswer: counting?.answer,
      scheduler,
      logger,
    })
    this.#kernel = new KernelRules({
      library,
      observer: this.#observer,
      onLost: () => this.#health.queued(),
      onRepaired: () => this.worker.poke(),
      scheduler,
      logger,
    })
  }

  /** Resolves when `signal` aborts; the rules stay. */
  async run(signal: AbortSignal): Promise<void> {
    this.worker.poke()
    try {
      await Promise.all([this.#feed.run(signal), this.worker.run(signal)])
    } finally {
      await this.#servers[Symbol.asyncDispose]()
      await this.#kernel[Symbol.asyncDispose]()
    }
  }

  status(): ServiceProxyStatus {
    return describeProxy({
      refusal: this.#refusal,
      lastError: this.worker.lastError,
      isLost: this.#kernel.isLost,
      lastSyncMs: this.#health.lastUpdatedMs,
      index: this.#index,
      rivals: this.#rivals.seen,
      closedPorts: this.#servers.problems,
      malformed: this.#feed.malformed,
    })
  }

  #figures(): ProxyFigures {
    const { services, endpoints, withoutLocalEndpoints } = this.#index?.totals() ?? noTotals
    const { services: pendingServices, endpoints: pendingEndpoints } = this.#feed.pending
    const lastSyncedMs = this.#health.lastUpdatedMs
    return {
      services,
      endpoints,
      withoutLocalEndpoints,
      pendingServices,
      pendingEndpoints,
      problems: this.#index?.problems().length ?? 0,
      malformed: this.#feed.malformed.length,
      rivals: this.#rivals.seen.length,
      healthCheckPorts: this.#servers.healthCheckPorts,
      closedPorts: this.#servers.problems.length,
      ...(this.#lastQueuedMs !== undefined && { lastQueuedMs: this.#lastQueuedMs }),
      ...(lastSyncedMs !== undefined && { lastSyncedMs }),
    }
  }

  #heard(what: 'service' | 'endpoint' | 'node' | 'list'): void {
    if (what === 'service' || what === 'endpoint') this.#observer.changed(what)
    // Before everything was listed once and the node has its Node, nobody can be late.
    if (this.#index !== undefined || (this.#feed.isSynced && this.#feed.kubeNode !== undefined)) this.#health.queued()
    this.#lastQueuedMs = this.#options.scheduler.nowMs()
    this.worker.poke()
  }

  async #work(signal: AbortSignal): Promise<Result<number | undefined, string>> {
    if (this.#index === undefined) {
      this.#refusal = this.#rivals.refusal()
      if (this.#refusal !== undefined) return err(this.#refusal)
    }
    this.#servers.open()
    // Without a node there are no node ports and no topology; who asked for a proxy will have one soon. A Node that is
    // deleted, and made again by its kubelet, is no reason to let Services' endpoints grow old.
    this.#node = this.#feed.node ?? this.#node
    if (!this.#feed.isSynced || this.#node === undefined) return ok(undefined)
    const startedMs = this.#options.scheduler.monotonicMs()
    this.#lookForRivals(startedMs)
    this.#follow(this.#node)
    if (!this.#kernel.isApplied) {
      const applied = await this.#kernel.apply(startedMs, signal)
      if (!applied.ok) return applied
      this.#raiseLimits()
    }
    if (!this.#kernel.isLost) this.#health.updated()
    return ok(rivalIntervalMs)
  }

  #lookForRivals(nowMs: number): void {
    if (nowMs - this.#rivalsSoughtMs < rivalIntervalMs) return
    this.#rivalsSoughtMs = nowMs
    this.#rivals.lookAgain()
  }

  #follow(node: ProxyNode): void {
    const isFirst = this.#index === undefined
    this.#index ??= new ServiceIndex(node)
    const { triggersMs, ...objects } = this.#feed.take()
    const change = this.#index.apply({ ...objects, node })
    const whole = isFirst ? { ...change, nodePortAddresses: node.nodePortAddresses } : change
    this.#tell(whole)
    this.#servers.follow(whole.healthChecks, whole.nodePortAddresses)
    this.#kernel.change(whole, triggersMs)
  }

  // The kernel has these knobs since it loaded connection tracking for our rules, if not before.
  #raiseLimits(): void {
    if (this.#hasLimits) return
    this.#hasLimits = true
    const { config, logger } = this.#options
    applyConntrackLimits(config.conntrack, logger)
  }

  #tell({ foundProblems, solvedProblems }: TableChange): void {
    const { logger } = this.#options
    this.#observer.foundProblems(foundProblems.length)
    for (const problem of foundProblems) logger.warn('services.problem', { ...problem })
    for (const problem of solvedProblems) logger.info('services.problem.solved', { ...problem })
  }
}

const noTotals = { services: 0, endpoints: 0, withoutLocalEndpoints: { internal: 0, external: 0 } }
