import type { Logger } from '../../base/logger.ts'
import { err, ok, type Result } from '../../base/result.ts'
import { hostIfnamePattern } from '../../datapath/host-ifname.ts'
import type { ElementCount } from '../../nftables/element-counts.ts'
import type { Libnftables } from '../../nftables/libnftables.ts'
import type { Table } from '../../nftables/model.ts'
import { type AppliedStats, NftablesWriter } from '../../nftables/writer.ts'
import { type PolicyRuleChange, PolicyRuleset } from '../../policy/policy-rules.ts'
import { policyTableName } from '../../policy/rule-names.ts'
import type { PolicyObserver } from './policy-observer.ts'

export interface KernelPolicyOptions {
  readonly library: Libnftables
  readonly observer: PolicyObserver
  /** Somebody else changed the table, which has been made anew; or could not be. */
  readonly onRepaired: () => void
  readonly logger: Logger
}

/** The policies' rules in the kernel. In the calling thread's namespace. */
export class KernelPolicy implements AsyncDisposable {
  readonly #options: KernelPolicyOptions
  readonly #writer: NftablesWriter
  readonly #rules = new PolicyRuleset({ localPods: hostIfnamePattern })
  #revision = 0
  #applied = 0
  #isLost = false
  #lastError: string | undefined

  constructor(options: KernelPolicyOptions) {
    const { library } = options
    this.#options = options
    this.#writer = new NftablesWriter({
      library,
      family: 'ip',
      name: policyTableName,
      onLost: (reason) => this.#lost(reason),
      onRepair: (outcome) => this.#repaired(outcome),
    })
  }

  /** Of what the rules say. */
  get revision(): number {
    return this.#revision
  }

  /** Up to which revision the kernel does as the rules say; 0: it has none of them. */
  get applied(): number {
    return this.#isLost ? 0 : this.#applied
  }

  /** Why the kernel does not have the newest revision; undefined: it has, or will at once. */
  get problem(): string | undefined {
    return this.#lastError ?? (this.#isLost ? 'somebody else changed the table; it is being made anew' : undefined)
  }

  /** The first one is all of it, and may be empty. */
  change(change: PolicyRuleChange): void {
    const isEmpty = [change.pods, change.peerSets, change.interfaces].every((part = []) => part.length === 0)
    if (isEmpty && this.#revision > 0) return
    this.#rules.apply(change)
    this.#revision++
  }

  /** Brings the newest revision into the kernel. After an error the kernel has what it had. */
  async apply(signal: AbortSignal): Promise<Result<void, string>> {
    const revision = this.#revision
    if (this.applied >= revision) return ok(undefined)
    const { observer, logger } = this.#options
    const applied = await this.#writer.apply(this.#rules.table(), signal)
    if (!applied.ok) {
      observer.failed()
      this.#lastError = applied.error.message
      return err(applied.error.message)
    }
    this.#lastError = undefined
    this.#isLost = false
    this.#applied = Math.max(this.#applied, revision)
    observer.synced(applied.value)
    logger.debug('policy.applied', { ...applied.value, revision })
    return ok(undefined)
  }

  /** The newest revision; undefined: the kernel has none from here. */
  get table(): Table | undefined {
    return this.applied > 0 ? this.#rules.table() : undefined
  }

  /** What a set of the kernel's table counted, which it is listed for. */
  async counts(set: string, signal: AbortSignal): Promise<Result<readonly ElementCount[], string>> {
    const counts = await this.#writer.counts(set, signal)
    return counts.ok ? counts : err(counts.error.message)
  }

  /** The table stays. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer[Symbol.asyncDispose]()
  }

  #lost(reason: string): void {
    this.#isLost = true
    this.#options.logger.error('policy.lost', { reason, note: 'the table is being rebuilt' })
  }

  #repaired(outcome: Result<AppliedStats, Error>): void {
    const { observer, logger, onRepaired } = this.#options
    if (outcome.ok) {
      this.#isLost = false
      observer.synced(outcome.value)
      logger.info('policy.repaired', { ...outcome.value })
    } else {
      observer.failed()
      logger.error('policy.unrepaired', { problem: outcome.error.message })
    }
    onRepaired()
  }
}
