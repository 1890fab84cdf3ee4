import type { Logger } from '../base/logger.ts'
import { readRuleNames } from '../linux/rule-names.ts'
import type { RuleNamesSeen } from '../nftables/foreign-rules.ts'

/** Others that do on a node what a table of ours does. */
export interface ForeignRules {
  /** Chains and interfaces by which they are known; tables of nf_tables are all looked at. */
  readonly isTheirChain: (chain: string) => boolean
  readonly theirLinks: readonly string[]
  /** One phrase each. */
  readonly find: (seen: RuleNamesSeen) => readonly string[]
  readonly refusal: (found: readonly string[]) => string | undefined
  /** Of family ip. */
  readonly ourTable: string
  /** Of the log; that they have gone is `EVENT.gone`. */
  readonly event: string
  /** What it means that they came later, and what people can do. */
  readonly note: string
}

/**
 * Looks whether others are on the node who do what a table of ours does: before our first rules, which then are not made, and
 * while ours are at work, which then stay.
 */
export class ForeignRulesWatch {
  readonly #logger: Logger
  readonly #rules: ForeignRules
  #seen: readonly string[] = []

  constructor(logger: Logger, rules: ForeignRules) {
    this.#logger = logger
    this.#rules = rules
  }

  /** What was seen last while our rules were at work, in words. */
  get seen(): readonly string[] {
    return this.#seen
  }

  /** Before the first rules: why there shall be none. Where an earlier agent's are at work, they are to be kept right. */
  refusal(): string | undefined {
    const { names, found } = this.#look()
    const { ourTable, refusal } = this.#rules
    const isOursThere = names.nftablesTables.some(({ family, table }) => family === 'ip' && table === ourTable)
    if (!isOursThere) return refusal(found)
    this.#tell(found)
    return undefined
  }

  /** While our rules are at work. */
  lookAgain(): void {
    this.#tell(this.#look().found)
  }

  #tell(found: readonly string[]): void {
    const { event, note } = this.#rules
    if (found.length > 0 && this.#seen.length === 0) this.#logger.error(event, { found, note })
    if (found.length === 0 && this.#seen.length > 0) this.#logger.info(`${event}.gone`, { was: this.#seen })
    this.#seen = found
  }

  /** Names only, of the calling thread's namespace. */
  #look(): { readonly names: RuleNamesSeen; readonly found: readonly string[] } {
    const names = readRuleNames(this.#rules.isTheirChain, this.#rules.theirLinks)
    return { names, found: this.#rules.find(names) }
  }
}
