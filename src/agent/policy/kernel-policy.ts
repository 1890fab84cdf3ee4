import { existsSync } from 'node:fs'
import type { Logger } from '../../base/logger.ts'
import { ok, type Result } from '../../base/result.ts'
import { hostIfnamePattern } from '../../datapath/host-ifname.ts'
import type { ElementCount } from '../../nftables/element-counts.ts'
import type { Libnftables } from '../../nftables/libnftables.ts'
import type { Table } from '../../nftables/model.ts'
import { closedIpv6Name, closedIpv6Table } from '../../policy/closed-ipv6.ts'
import { type PolicyRuleChange, PolicyRuleset } from '../../policy/policy-rules.ts'
import { policyTableName } from '../../policy/rule-names.ts'
import { KeptTable } from './kept-table.ts'
import type { PolicyObserver } from './policy-observer.ts'

export interface KernelPolicyOptions {
  readonly library: Libnftables
  readonly observer: PolicyObserver
  /** Somebody else changed a table, which has been made anew; or could not be. */
  readonly onRepaired: () => void
  readonly logger: Logger
}

const localPods = hostIfnamePattern
const closedIpv6 = closedIpv6Table({ localPods })
/** Not there: the kernel has no IPv6, or was started without (net/ipv6/af_inet6.c, inet6_init). */
const ipv6File = '/proc/thread-self/net/if_inet6'

/**
 * The policies' rules in the kernel, and beside them what closes IPv6, which they do not judge: without either, nothing is
 * in force. In the calling thread's namespace.
 */
export class KernelPolicy implements AsyncDisposable {
  readonly #options: KernelPolicyOptions
  readonly #policies: KeptTable
  readonly #ipv6: KeptTable
  readonly #rules = new PolicyRuleset({ localPods })
  #hasIpv6 = true
  #revision = 0
  #applied = 0

  constructor(options: KernelPolicyOptions) {
    this.#options = options
    this.#policies = new KeptTable({ ...options, family: 'ip', name: policyTableName })
    this.#ipv6 = new KeptTable({ ...options, ...closedIpv6Name })
  }

  /** Of what the rules say. */
  get revision(): number {
    return this.#revision
  }

  /** Up to which revision the kernel does as the rules say; 0: it has none of them, or lets IPv6 through. */
  get applied(): number {
    return this.#policies.isThere && this.#isIpv6Closed ? this.#applied : 0
  }

  /** Why the kernel does not have the newest revision; undefined: it has, or will at once. */
  get problem(): string | undefined {
    return this.#policies.problem ?? (this.#hasIpv6 ? this.#ipv6.problem : undefined)
  }

  /** The first one is all of it, and may be empty. */
  change(change: PolicyRuleChange): void {
    const isEmpty = [change.pods, change.peerSets, change.interfaces].every((part = []) => part.length === 0)
    if (isEmpty && this.#revision > 0) return
    this.#rules.apply(change)
    this.#revision++
  }

  /** Brings the newest revision into the kernel. After an error the kernel has what it had, of one of the tables at least. */
  async apply(signal: AbortSignal): Promise<Result<void, string>> {
    const revision = this.#revision
    if (this.applied >= revision) return ok(undefined)
    const { observer, logger } = this.#options
    // Whatever comes of it, policies are kept as they should be.
    const closed = this.#isIpv6Closed ? ok(undefined) : await this.#closeIpv6(signal)
    const applied = await this.#policies.apply(this.#rules.table(), signal)
    if (!applied.ok) {
      observer.failed()
      return applied
    }
    this.#applied = Math.max(this.#applied, revision)
    observer.synced(applied.value)
    logger.debug('policy.applied', { ...applied.value, revision })
    return closed
  }

  /** The newest revision; undefined: the kernel has none from here. */
  get table(): Table | undefined {
    return this.applied > 0 ? this.#rules.table() : undefined
  }

  /** What a set of the policies' table counted, which it is listed for. */
  async counts(set: string, signal: AbortSignal): Promise<Result<readonly ElementCount[], string>> {
    return this.#policies.counts(set, signal)
  }

  /** The tables stay. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#policies[Symbol.asyncDispose](), this.#ipv6[Symbol.asyncDispose]()])
  }

  get #isIpv6Closed(): boolean {
    return this.#ipv6.isThere || !this.#hasIpv6
  }

  /** A kernel without IPv6 takes no packet of it, and may refuse the table. */
  async #closeIpv6(signal: AbortSignal): Promise<Result<void, string>> {
    const closed = await this.#ipv6.apply(closedIpv6, signal)
    this.#hasIpv6 = closed.ok || existsSync(ipv6File)
    if (closed.ok || !this.#hasIpv6) return ok(undefined)
    this.#options.observer.failed()
    return closed
  }
}
