import type { Ip } from '../../base/ip.ts'
import type { Logger } from '../../base/logger.ts'
import { err, ok, type Result } from '../../base/result.ts'
import type { ApiClient } from '../../kube/api-client.ts'
import type { Random, Scheduler } from '../../kube/scheduler.ts'
import { ConntrackTable } from '../../linux/netlink/conntrack-table.ts'
import { readRuleNames } from '../../linux/rule-names.ts'
import { Libnftables } from '../../nftables/libnftables.ts'
import { NftablesWriter } from '../../nftables/writer.ts'
import type { AffinityPurge } from '../../proxy/affinity-purge.ts'
import type { Change } from '../../proxy/claims.ts'
import {
  cleanUpConntrack,
  planConntrackCleanup,
  type UdpFrontend,
  type UdpFrontendChange,
} from '../../proxy/conntrack-cleanup.ts'
import { findRivals, isRivalChain, refusalBesideRivals, rivalLinks } from '../../proxy/rival-detection.ts'
import { serviceTableName } from '../../proxy/rule-names.ts'
import { ServiceIndex, type TableChange } from '../../proxy/service-index.ts'
import { ServiceRules } from '../../proxy/service-rules.ts'
import type { Frontend, ProxyNode } from '../../proxy/service-table.ts'
import { PokedWorker } from '../kube/poked-worker.ts'
import { ObjectFeed } from './object-feed.ts'

export interface ServiceProxyOptions {
  readonly client: Pick<ApiClient, 'list' | 'watch'>
  readonly nodeName: string
  readonly scheduler: Scheduler
  readonly random: Random
  readonly logger: Logger
}

/** The host's ends of pods' interfaces (datapath/host-ifname.ts). */
const localPods = 'oci*'
/** Between two transactions: what comes meanwhile goes into the next one. The first of a quiet time does not wait. */
const spacingMs = 30

/** What the kernel still has to be told once it has the rules. */
interface Aftermath {
  readonly purges: AffinityPurge[]
  readonly udp: UdpFrontendChange[]
}

/**
 * Translates Services' addresses to pods' on this node: Kubernetes' objects in, one table of nf_tables out. It keeps away
 * where kube-proxy is. The table stays when the agent ends, and the next agent's takes its place.
 */
export class ServiceProxy {
  readonly worker: PokedWorker
  readonly #options: ServiceProxyOptions
  readonly #feed: ObjectFeed
  readonly #writer: NftablesWriter
  readonly #conntrack: ConntrackTable
  readonly #rules = new ServiceRules({ localPods })
  #index: ServiceIndex | undefined
  #nodePortAddresses: readonly Ip[] = []
  #isApplied = false
  #aftermath: Aftermath = { purges: [], udp: [] }

  /** In the node's namespace. */
  static create(options: ServiceProxyOptions): Result<ServiceProxy, string> {
    const library = Libnftables.load()
    return library.ok ? ok(new ServiceProxy(options, library.value)) : err(`services: ${library.error}`)
  }

  private constructor(options: ServiceProxyOptions, library: Libnftables) {
    const { scheduler, random, logger } = options
    this.#options = options
    this.worker = new PokedWorker({
      name: 'services',
      work: (signal) => this.#work(signal),
      spacingMs,
      backoff: { baseMs: 200, maxMs: 30_000 },
      scheduler,
      random,
      logger,
    })
    this.#feed = new ObjectFeed({ ...options, onChange: () => this.worker.poke() })
    this.#conntrack = new ConntrackTable()
    this.#writer = new NftablesWriter({
      library,
      family: 'ip',
      name: serviceTableName,
      onLost: (reason) => logger.warn('services.lost', { reason, note: 'the table is being rebuilt' }),
      onRepair: (outcome) => {
        if (outcome.ok) logger.info('services.repaired', { ...outcome.value })
        else logger.error('services.unrepaired', { problem: outcome.error.message })
      },
    })
  }

  /** Resolves when `signal` aborts; the rules stay. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      await Promise.all([this.#feed.run(signal), this.worker.run(signal)])
    } finally {
      await this.#writer[Symbol.asyncDispose]()
      this.#conntrack[Symbol.dispose]()
    }
  }

  async #work(signal: AbortSignal): Promise<Result<undefined, string>> {
    const { node } = this.#feed
    // Without a node there are no node ports and no topology; who asked for a proxy will have one soon.
    if (!this.#feed.isSynced || node === undefined) return ok(undefined)
    if (this.#index === undefined) {
      const refusal = refusalBesideRivals(findRivals(readRuleNames(isRivalChain, rivalLinks)))
      if (refusal !== undefined) return err(refusal)
    }
    const isNew = this.#follow(node)
    if (!isNew && this.#isApplied) return ok(undefined)
    return this.#apply(signal)
  }

  /** Whether the rules are others now. */
  #follow(node: ProxyNode): boolean {
    const isFirst = this.#index === undefined
    this.#index ??= new ServiceIndex(node)
    const change = this.#index.apply({ ...this.#feed.take(), node })
    this.#tell(change)
    const addresses = isFirst ? node.nodePortAddresses : change.nodePortAddresses
    if (change.frontends.length === 0 && addresses === undefined) return false
    this.#nodePortAddresses = node.nodePortAddresses
    const { purges } = this.#rules.apply({
      frontends: change.frontends,
      ...(addresses !== undefined && { nodePortAddresses: addresses }),
    })
    this.#aftermath.purges.push(...(isFirst ? this.#rules.purgesOfAll() : purges))
    this.#aftermath.udp.push(...change.frontends.flatMap(udpChange))
    this.#isApplied = false
    return true
  }

  async #apply(signal: AbortSignal): Promise<Result<undefined, string>> {
    const { logger } = this.#options
    const aftermath = this.#aftermath
    // After an error the writer's next one makes the table anew.
    const applied = await this.#writer.apply(this.#rules.table(), signal)
    if (!applied.ok) return err(applied.error.message)
    for (const { set, matches } of aftermath.purges) {
      const forgotten = await this.#writer.forget(set, matches, signal)
      if (!forgotten.ok) return err(forgotten.error.message)
    }
    const cleanup = planConntrackCleanup(aftermath.udp, this.#nodePortAddresses)
    const flowsDeleted = await cleanUpConntrack(this.#conntrack, cleanup, 4)
    this.#aftermath = { purges: [], udp: [] }
    this.#isApplied = true
    logger.debug('services.applied', { ...applied.value, flowsDeleted })
    return ok(undefined)
  }

  #tell({ foundProblems, solvedProblems }: TableChange): void {
    const { logger } = this.#options
    for (const problem of foundProblems) logger.warn('services.problem', { ...problem })
    for (const problem of solvedProblems) logger.info('services.problem.solved', { ...problem })
  }
}

function udpChange({ before, after }: Change<string, Frontend>): readonly UdpFrontendChange[] {
  const [was, is] = [udpFrontend(before), udpFrontend(after)]
  if (was === undefined && is === undefined) return []
  return [{ ...(was !== undefined && { before: was }), ...(is !== undefined && { after: is }) }]
}

function udpFrontend(frontend: Frontend | undefined): UdpFrontend | undefined {
  if (frontend?.protocol !== 'UDP') return undefined
  const { at, port, serving = [] } = frontend
  return { at, port, serving }
}
