import type { Logger } from '../../base/logger.ts'
import { findRivals, isRivalChain, refusalBesideRivals, rivalLinks } from '../../proxy/rival-detection.ts'
import { serviceTableName } from '../../proxy/rule-names.ts'
import { ForeignRulesWatch } from '../foreign-rules-watch.ts'

/**
 * Looks for a kube-proxy. Where it came after our rules, ours stay: both proxies lead to the same endpoints and whoever is
 * asked first translates a connection for good, while to take ours away is an outage of every Service until the other one
 * is complete, and for ever where it was only started by mistake or has died already. Which of the two is to go is for
 * people to say; they are told until one is gone. The next agent keeps our rules right, too: old ones would lead to pods
 * that are gone.
 */
export class RivalWatch extends ForeignRulesWatch {
  constructor(logger: Logger) {
    super(logger, {
      isTheirChain: isRivalChain,
      theirLinks: rivalLinks,
      find: findRivals,
      refusal: refusalBesideRivals,
      ourTable: serviceTableName,
      event: 'services.rival',
      note: 'kube-proxy came to a node that has a service proxy already. Our rules stay. Remove kube-proxy from this node, with "kube-proxy --cleanup", or turn this proxy off (docs/services.md)',
    })
  }
}
