import type { Ip } from '../../base/ip.ts'
import type { Logger } from '../../base/logger.ts'
import { err, ok, type Result } from '../../base/result.ts'
import { hostIfnamePattern } from '../../datapath/host-ifname.ts'
import type { Scheduler } from '../../kube/scheduler.ts'
import { ConntrackTable } from '../../linux/netlink/conntrack-table.ts'
import type { Libnftables } from '../../nftables/libnftables.ts'
import { type AppliedStats, NftablesWriter } from '../../nftables/writer.ts'
import { type AffinityPurge, planPurgesOfGone } from '../../proxy/affinity-purge.ts'
import { cleanUpConntrack, planConntrackCleanup, udpChanges } from '../../proxy/conntrack-cleanup.ts'
import { serviceTableName } from '../../proxy/rule-names.ts'
import type { TableChange } from '../../proxy/service-index.ts'
import { ServiceRules } from '../../proxy/service-rules.ts'
import type { Frontend } from '../../proxy/service-table.ts'
import { PendingChanges } from './pending-changes.ts'
import type { ProxyObserver } from './proxy-observer.ts'

export interface KernelRulesOptions {
  readonly library: Libnftables
  readonly observer: ProxyObserver
  /** Somebody else changed the table; it is made anew right away. */
  readonly onLost: () => void
  /** It has been. */
  readonly onRepaired: () => void
  readonly scheduler: Scheduler
  readonly logger: Logger
}

/** The Services' rules in the kernel, and what has to follow each change of them. In the calling thread's namespace. */
export class KernelRules implements AsyncDisposable {
  readonly #options: KernelRulesOptions
  readonly #writer: NftablesWriter
  readonly #conntrack = new ConntrackTable()
  readonly #rules = new ServiceRules({ localPods: hostIfnamePattern })
  #nodePortAddresses: readonly Ip[] = []
  #isNew = true
  /** The kernel has been told all that the rules say, and has done what follows. */
  #isApplied = false
  #isLost = false
  #pending = new PendingChanges()

  constructor(options: KernelRulesOptions) {
    const { library } = options
    this.#options = options
    this.#writer = new NftablesWriter({
      library,
      family: 'ip',
      name: serviceTableName,
      onLost: (reason) => this.#lost(reason),
      onRepair: (outcome) => this.#repaired(outcome),
    })
  }

  /** Nothing is left to be applied. */
  get isApplied(): boolean {
    return this.#isApplied
  }

  /** Somebody else changed the table, and it is not made anew yet. */
  get isLost(): boolean {
    return this.#isLost
  }

  /** Takes the next change of the table; the first one is all of it. `triggersMs`: see FinishedSync. */
  change({ frontends, nodePortAddresses }: TableChange, triggersMs: readonly number[]): void {
    this.#pending.addTriggers(triggersMs)
    if (frontends.length === 0 && nodePortAddresses === undefined && !this.#isNew) return
    if (nodePortAddresses !== undefined) this.#nodePortAddresses = nodePortAddresses
    const { purges } = this.#rules.apply({ frontends, ...(nodePortAddresses !== undefined && { nodePortAddresses }) })
    this.#pending.add(frontends, this.#isNew ? this.#rules.purgesOfAll() : purges)
    // Who sent to a node port there before, say while the cloud had not told the Node's address, got nowhere.
    if (nodePortAddresses !== undefined) this.#pending.addUnknown(this.#rules.frontends().filter(isUdpNodePort))
    this.#isNew = false
    this.#isApplied = false
  }

  /** After an error the next one makes the table anew. `startedMs`: when the work on these changes began. */
  async apply(startedMs: number, signal: AbortSignal): Promise<Result<undefined, string>> {
    const { observer, scheduler, logger } = this.#options
    const pending = this.#pending
    const purges = pending.purges ?? this.#allPurges(pending)
    pending.tried()
    const applied = await this.#writer.apply(this.#rules.table(), signal)
    if (!applied.ok) {
      observer.failed()
      return err(applied.error.message)
    }
    this.#isLost = false
    for (const { set, matches } of purges) {
      const forgotten = await this.#writer.forget(set, matches, signal)
      if (!forgotten.ok) return err(forgotten.error.message)
    }
    const flowsDeleted = await this.#cleanUpConntrack(pending)
    this.#pending = new PendingChanges()
    this.#isApplied = true
    observer.synced({
      elapsedMs: scheduler.monotonicMs() - startedMs,
      isFull: applied.value.how === 'load',
      programmingMs: pending.triggersMs.map((triggerMs) => scheduler.nowMs() - triggerMs),
    })
    logger.debug('services.applied', { ...applied.value, flowsDeleted })
    return ok(undefined)
  }

  /** The table stays. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer[Symbol.asyncDispose]()
    this.#conntrack[Symbol.dispose]()
  }

  #allPurges({ frontends }: PendingChanges): readonly AffinityPurge[] {
    return [...this.#rules.purgesOfAll(), ...planPurgesOfGone(frontends, this.#nodePortAddresses)]
  }

  async #cleanUpConntrack(pending: PendingChanges): Promise<number> {
    const cleanup = planConntrackCleanup(udpChanges(pending.flows), this.#nodePortAddresses)
    if (cleanup.size === 0) return 0
    const { observer, scheduler } = this.#options
    const startedMs = scheduler.monotonicMs()
    const flowsDeleted = await cleanUpConntrack(this.#conntrack, cleanup, 4)
    observer.conntrackCleaned(scheduler.monotonicMs() - startedMs, flowsDeleted)
    return flowsDeleted
  }

  #lost(reason: string): void {
    this.#isLost = true
    this.#options.logger.warn('services.lost', { reason, note: 'the table is being rebuilt' })
    this.#options.onLost()
  }

  #repaired(outcome: Result<AppliedStats, Error>): void {
    const { observer, logger, onRepaired } = this.#options
    if (!outcome.ok) {
      observer.failed()
      logger.error('services.unrepaired', { problem: outcome.error.message })
      return
    }
    this.#isLost = false
    observer.synced({ elapsedMs: outcome.value.elapsedMs, isFull: true, programmingMs: [] })
    logger.info('services.repaired', { ...outcome.value })
    onRepaired()
  }
}

function isUdpNodePort({ at, protocol }: Frontend): boolean {
  return at.kind === 'node' && protocol === 'UDP'
}
