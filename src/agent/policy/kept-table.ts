import type { Logger } from '../../base/logger.ts'
import { err, type Result } from '../../base/result.ts'
import type { ElementCount } from '../../nftables/element-counts.ts'
import type { Libnftables } from '../../nftables/libnftables.ts'
import type { Table } from '../../nftables/model.ts'
import type { TableName } from '../../nftables/render.ts'
import { type AppliedStats, NftablesWriter } from '../../nftables/writer.ts'
import type { PolicyObserver } from './policy-observer.ts'

export interface KeptTableOptions extends TableName {
  readonly library: Libnftables
  readonly observer: PolicyObserver
  /** Somebody else changed the table, which has been made anew; or could not be. */
  readonly onRepaired: () => void
  readonly logger: Logger
}

/** A table of the policies in the kernel, and whether it is there as it was applied. */
export class KeptTable implements AsyncDisposable {
  readonly #options: KeptTableOptions
  readonly #writer: NftablesWriter
  #isApplied = false
  #isLost = false
  #lastError: string | undefined

  constructor(options: KeptTableOptions) {
    const { library, family, name } = options
    this.#options = options
    this.#writer = new NftablesWriter({
      library,
      family,
      name,
      onLost: (reason) => this.#lost(reason),
      onRepair: (outcome) => this.#repaired(outcome),
    })
  }

  /** The kernel has what was applied last without an error. */
  get isThere(): boolean {
    return this.#isApplied && !this.#isLost
  }

  /** Why the kernel does not have the newest one; undefined: it has, or will at once. */
  get problem(): string | undefined {
    return this.#lastError ?? (this.#isLost ? `somebody else changed ${this.#title}; it is being made anew` : undefined)
  }

  /** After an error the kernel has what it had. */
  async apply(table: Table, signal: AbortSignal): Promise<Result<AppliedStats, string>> {
    const applied = await this.#writer.apply(table, signal)
    if (!applied.ok) {
      this.#lastError = applied.error.message
      return err(applied.error.message)
    }
    this.#lastError = undefined
    this.#isLost = false
    this.#isApplied = true
    return applied
  }

  /** What a set counted, which it is listed for. */
  async counts(set: string, signal: AbortSignal): Promise<Result<readonly ElementCount[], string>> {
    const counts = await this.#writer.counts(set, signal)
    return counts.ok ? counts : err(counts.error.message)
  }

  /** The table stays. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer[Symbol.asyncDispose]()
  }

  get #title(): string {
    return `table ${this.#options.family} ${this.#options.name}`
  }

  #lost(reason: string): void {
    this.#isLost = true
    this.#options.logger.error('policy.lost', { table: this.#title, reason, note: 'the table is being rebuilt' })
  }

  #repaired(outcome: Result<AppliedStats, Error>): void {
    const { observer, logger, onRepaired } = this.#options
    if (outcome.ok) {
      this.#isLost = false
      observer.synced(outcome.value)
      logger.info('policy.repaired', { table: this.#title, ...outcome.value })
    } else {
      observer.failed()
      logger.error('policy.unrepaired', { table: this.#title, problem: outcome.error.message })
    }
    onRepaired()
  }
}
