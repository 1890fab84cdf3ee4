import type { BaseChain, Chain, Table } from '../nftables/model.ts'
import type { TableName } from '../nftables/render.ts'
import { equals, type Selector, verdict } from '../nftables/statement.ts'
import type { PolicyRulesOptions } from './policy-rules.ts'
import { policyTableName } from './rule-names.ts'

/** Of the same name as the one with the policies. */
export const closedIpv6Name: TableName = { family: 'ip6', name: policyTableName }

/** All that enforcing network policy leaves in the kernel. */
export const policyTables: readonly TableName[] = [{ family: 'ip', name: policyTableName }, closedIpv6Name]

/**
 * Pods have no IPv6 address, and no policy judges IPv6: nothing of it comes from a pod or is forwarded to one. Without this
 * a pod that may write raw frames (NET_RAW, which containerd gives by default) reaches the node, and through a node that
 * forwards IPv6 whatever lies behind it. What the node itself sends into a pod's interface (neighbour discovery) is left.
 */
export function closedIpv6Table({ localPods }: PolicyRulesOptions): Table {
  const drops = (hook: BaseChain['hook'], priority: number, at: Selector): Chain => ({
    base: { type: 'filter', hook, priority, policy: 'accept' },
    rules: [[equals(at, localPods), { kind: 'counter' }, verdict('drop')]],
  })
  return {
    ...closedIpv6Name,
    sets: new Map(),
    chains: new Map([
      // Before conntrack, as the other family's look at source addresses.
      ['from-pods', drops('prerouting', -300, 'iifname')],
      ['to-pods', drops('forward', 0, 'oifname')],
    ]),
  }
}
