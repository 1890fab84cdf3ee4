import type { Logger } from '../../base/logger.ts'
import { readRuleNames, type RuleNames } from '../../linux/rule-names.ts'
import { findRivals, isRivalChain, refusalBesideRivals, rivalLinks } from '../../proxy/rival-detection.ts'
import { serviceTableName } from '../../proxy/rule-names.ts'

/**
 * Looks whether a kube-proxy has come to the node after our rules did. Then ours stay: both proxies lead to the same
 * endpoints and whoever is asked first translates a connection for good, while to take ours away is an outage of every
 * Service until the other one is complete, and for ever where it was only started by mistake or has died already. Which of
 * the two is to go is for people to say; they are told until one is gone.
 */
export class RivalWatch {
  readonly #logger: Logger
  #seen: readonly string[] = []

  constructor(logger: Logger) {
    this.#logger = logger
  }

  /** What was seen last, in words. */
  get seen(): readonly string[] {
    return this.#seen
  }

  /**
   * Before the first rules: why there shall be none. Where an earlier agent's are at work, they are to be kept right, for
   * old ones would lead to pods that are gone.
   */
  refusal(): string | undefined {
    const names = this.#look()
    const isOursThere = names.nftablesTables.some(({ family, table }) => family === 'ip' && table === serviceTableName)
    return isOursThere ? undefined : refusalBesideRivals(findRivals(names))
  }

  /** While our rules are at work. */
  lookAgain(): void {
    const found = findRivals(this.#look())
    if (found.length > 0 && this.#seen.length === 0) {
      this.#logger.error('services.rival', {
        found,
        note: 'kube-proxy came to a node that has a service proxy already. Our rules stay. Remove kube-proxy from this node, with "kube-proxy --cleanup", or turn this proxy off (docs/services.md)',
      })
    }
    if (found.length === 0 && this.#seen.length > 0) this.#logger.info('services.rival.gone', { was: this.#seen })
    this.#seen = found
  }

  /** Names only, of the calling thread's namespace. */
  #look(): RuleNames {
    return readRuleNames(isRivalChain, rivalLinks)
  }
}
