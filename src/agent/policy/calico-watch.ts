import type { Logger } from '../../base/logger.ts'
import { findCalico, isCalicoChain, refusalBesideCalico } from '../../policy/calico-detection.ts'
import { policyTableName } from '../../policy/rule-names.ts'
import { ForeignRulesWatch } from '../foreign-rules-watch.ts'

/**
 * Looks for Calico's rules. Where they came after ours, or an earlier agent's are in force, ours stay and are kept right: a
 * packet passes only if both let it through, while to take ours away would open every pod until Calico is complete.
 */
export class CalicoWatch extends ForeignRulesWatch {
  constructor(logger: Logger) {
    super(logger, {
      isTheirChain: isCalicoChain,
      theirLinks: [],
      find: findCalico,
      refusal: refusalBesideCalico,
      ourTable: policyTableName,
      event: 'policy.calico',
      note: 'Calico’s rules are on a node where this agent enforces network policy. Ours stay; a packet passes only where both let it through. Leave policy to Calico ("policy: calico" under "kubernetes" in agent.yaml), or remove Calico and its rules from this node (docs/network-policy.md)',
    })
  }
}
