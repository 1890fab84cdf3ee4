import { type Ipv4Cidr, isIpv4Cidr, lastAddress } from '../base/cidr.ts'
import { replyMark } from '../datapath/layout.ts'
import type { Rule } from '../linux/netlink/rule.ts'
import { packRange } from '../nftables/datatype.ts'
import { setElementsOf } from '../nftables/elements.ts'
import type { Chain, Table } from '../nftables/model.ts'
import { differs, equals, isIn, isNotIn, type Statement } from '../nftables/statement.ts'

export const replyTableName = 'vcn-replies'

const vnicBlocksName = 'vnics4'
const blockTypes = ['ipv4_addr'] as const
/** Farther out than anybody's chains: none comes between the marking and the routing, or the routing and the unmarking. */
const [first, last] = [-10_000, 10_000]
const otherBits = ~replyMark >>> 0
const isMarked: Statement = { kind: 'match', left: 'meta mark', operator: '==', mask: replyMark, right: replyMark }

/**
 * A pod's reply is routed before its source is translated back, by the pod's address. This marks replies that a rule with
 * `replyMark` would send out of a secondary VNIC, although none owns their translated source, and takes the mark off again
 * once they are routed. Those for the node itself stay without a mark, as they never come to the forward hook.
 */
export function planReplyTable(rules: readonly Rule[]): Table {
  const blocks = rules.flatMap(({ from, unlessMarked }) => (unlessMarked === replyMark && from ? [from] : []))
  const marking: Chain = {
    base: { type: 'filter', hook: 'prerouting', priority: last, policy: 'accept' },
    rules: [
      [
        // First what fails for most packets: the other way round it costs another 2 % of the request rate.
        equals('ct status', 'dnat'),
        equals('ct direction', 'reply'),
        // By address, not by interface: a block covers pods of other nodes, too, whose replies this node may translate.
        isIn('ip saddr', vnicBlocksName),
        isNotIn('ct original ip daddr', vnicBlocksName),
        differs('fib daddr type', 'local'),
        { kind: 'mark', target: 'meta mark', value: replyMark, keep: otherBits },
      ],
    ],
  }
  const unmarking: Chain = {
    base: { type: 'filter', hook: 'forward', priority: first, policy: 'accept' },
    rules: [[isMarked, { kind: 'mark', target: 'meta mark', value: 0, keep: otherBits }]],
  }
  // The kernel stops translating connections that are open when the namespace's last chain of type nat goes
  // (net/netfilter/nf_nat_core.c, nf_nat_unregister_fn): this one outlives those of a proxy that gives way to another.
  const staying: Chain = { base: { type: 'nat', hook: 'prerouting', priority: last, policy: 'accept' }, rules: [] }
  return {
    family: 'ip',
    name: replyTableName,
    sets: new Map([
      [
        vnicBlocksName,
        { key: blockTypes, interval: true, elements: setElementsOf(blocks.filter(isIpv4Cidr).map(packBlock)) },
      ],
    ]),
    chains: new Map([
      ['mark-replies', marking],
      ['unmark-replies', unmarking],
      ['keep-translating', staying],
    ]),
  }
}

function packBlock(block: Ipv4Cidr): ReturnType<typeof packRange> {
  return packRange(blockTypes, [block.address], [lastAddress(block)])
}
