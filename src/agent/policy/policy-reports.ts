import { once } from 'node:events'
import type { Logger } from '../../base/logger.ts'
import { ok, type Result } from '../../base/result.ts'
import type { Scheduler } from '../../kube/scheduler.ts'
import { unpackTexts } from '../../nftables/datatype.ts'
import type { PolicyIndex } from '../../policy/policy-index.ts'
import { type DropReason, dropsNames } from '../../policy/rule-names.ts'
import type { DeniedFlow, DeniedFlows } from '../denied-flow.ts'
import { PatientServer } from '../http/patient-server.ts'
import type { VcnPolicyConfig } from '../policy-config.ts'
import { DeniedFlowLog } from './denied-flow-log.ts'
import { explainFlows, type FlowCount, readDeniedFlows, type ReadCounts } from './denied-flows.ts'
import type { InterfaceDrops } from './drop-counts.ts'
import type { InterfaceBindings } from './interface-bindings.ts'
import type { KernelPolicy } from './kernel-policy.ts'
import type { PolicyFeed } from './policy-feed.ts'
import { policyFigures } from './policy-figures.ts'
import type { PolicyMetrics, PolicyMetricsSources } from './policy-metrics.ts'
import { nobodyCounts, type PolicyObserver } from './policy-observer.ts'

/** The parts of a policy engine, and what it knows now. */
export interface ReportedEngine {
  readonly kernel: Pick<KernelPolicy, 'table' | 'counts'>
  readonly feed: Pick<PolicyFeed, 'pods' | 'malformed' | 'pending' | 'stale'>
  readonly bindings: Pick<InterfaceBindings, 'holderOf' | 'holderOfAddress'>
  readonly index: PolicyIndex | undefined
  readonly lastSyncMs: number | undefined
}

export interface PolicyReportsOptions {
  readonly config: Pick<VcnPolicyConfig, 'metrics' | 'logDenied'>
  /** Absent: nobody counts. */
  readonly metrics: ((sources: PolicyMetricsSources) => PolicyMetrics) | undefined
  readonly engine: () => ReportedEngine
  readonly scheduler: Scheduler
  readonly logger: Logger
}

const scrapeTimeoutMs = 5_000
/** An answer over the socket has its limit, and a flow may be denied for a hundred policies. */
const maxFlowsTold = 1_000

/** What operators see of a policy engine: metrics, and the flows that are denied. The kernel is read only when one looks. */
export class PolicyReports {
  readonly observer: PolicyObserver
  readonly #options: PolicyReportsOptions
  readonly #metrics: PolicyMetrics | undefined
  readonly #read: ReadCounts = (set, signal) => this.#options.engine().kernel.counts(set, signal)
  #server: PatientServer | undefined

  constructor(options: PolicyReportsOptions) {
    const { engine, metrics } = options
    this.#options = options
    this.#metrics = metrics?.({
      figures: () => {
        const { kernel, ...known } = engine()
        return policyFigures({ table: kernel.table, ...known })
      },
      drops: (reason) => this.#drops(reason),
      podOf: (ifname) => engine().bindings.holderOf(ifname).pod,
    })
    this.observer = this.#metrics?.observer ?? nobodyCounts
  }

  /** Ports that are not open. */
  get problems(): readonly string[] {
    return this.#server?.problem === undefined ? [] : [this.#server.problem]
  }

  /** Resolves when `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { config, scheduler, logger } = this.#options
    if (this.#metrics !== undefined && config.metrics !== undefined) {
      const { answer } = this.#metrics
      const purpose = 'network policy metrics'
      this.#server = new PatientServer({ purpose, listen: config.metrics, answer, scheduler, logger })
    }
    if (config.logDenied) {
      const explain = (flows: readonly FlowCount[]): readonly DeniedFlow[] => this.#explain(flows)
      await new DeniedFlowLog({ read: this.#read, explain, scheduler, logger }).run(signal)
    }
    if (!signal.aborted) await once(signal, 'abort')
    await this.#server?.[Symbol.asyncDispose]()
  }

  async deniedFlows(signal: AbortSignal): Promise<Result<DeniedFlows, string>> {
    const flows = await readDeniedFlows(this.#read, signal)
    if (!flows.ok) return flows
    const told = flows.value.toSorted((a, b) => b.packets - a.packets).slice(0, maxFlowsTold)
    const spoofed = await this.#drops('spoofed')
    return ok({
      flows: this.#explain(told),
      omitted: flows.value.length - told.length,
      ...(spoofed !== undefined && { spoofedPackets: spoofed.reduce((sum, { packets }) => sum + packets, 0) }),
    })
  }

  #explain(flows: readonly FlowCount[]): readonly DeniedFlow[] {
    if (flows.length === 0) return []
    const { index, bindings, feed } = this.#options.engine()
    const holderOf = bindings.holderOfAddress.bind(bindings)
    return explainFlows(flows, { table: index?.table(), holderOf, pods: feed.pods() })
  }

  async #drops(reason: DropReason): Promise<readonly InterfaceDrops[] | undefined> {
    const patience = AbortSignal.timeout(scrapeTimeoutMs)
    try {
      const counts = await this.#read(dropsNames[reason], patience)
      return counts.ok ? counts.value.map(({ key, packets }) => ({ ifname: ifnameOf(key), packets })) : undefined
    } catch (error) {
      if (!patience.aborted) throw error
      return undefined
    }
  }
}

// nft quotes names of interfaces.
function ifnameOf(packed: string): string {
  const [quoted = ''] = unpackTexts(['ifname'], packed)
  return quoted.slice(1, -1)
}
