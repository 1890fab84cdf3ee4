// Counts what must not happen to packets of a test's node, and what must. Reads marks, sets none.
import { replyMark } from '../../src/datapath/layout.ts'
import { podVnic, primaryVnic } from '../clients/node-links.ts'
import type { TestNode } from '../clients/test-node.ts'
import { mustRun } from './behind-vcn.ts'

/** Packets since `watchMarks`. */
export interface MarkCounts {
  /** Came to the forward hook with our bit set: the table does something. */
  readonly marked: number
  /** Were seen by anybody else with our bit set, or left with it, or with a connection mark. */
  readonly leftover: number
  /** Left by the VNIC that owns their source, the node's or the pods' one. */
  readonly byPrimary: number
  readonly bySecondary: number
  /** Left by the other one: the VCN drops them. */
  readonly astray: number
}

const hasBit = `meta mark & ${replyMark} == ${replyMark}`
const [primary, secondary] = [primaryVnic, podVnic]

/** On a node without pods' packets under way. The table goes with the node. */
export async function watchMarks(node: TestNode): Promise<void> {
  const names = ['marked', 'leftover', 'byPrimary', 'bySecondary', 'astray']
  const rules = `table ip vct-watch {
${names.map((name) => `  counter ${name} { }`).join('\n')}
  chain earliest { type filter hook forward priority -20000; ${hasBit} counter name marked; }
  chain forward { type filter hook forward priority -9999; ${hasBit} counter name leftover; }
  chain input { type filter hook input priority -20000; ${hasBit} counter name leftover; }
  chain postrouting {
    type filter hook postrouting priority 300
    ${hasBit} counter name leftover
    ct mark != 0 counter name leftover
    oifname ${primary.ifname} ip saddr ${primary.primaryAddress} counter name byPrimary
    oifname ${secondary.ifname} ip saddr ${secondary.primaryAddress} counter name bySecondary
    oifname ${primary.ifname} ip saddr ${secondary.primaryAddress} counter name astray
    oifname ${secondary.ifname} ip saddr ${primary.primaryAddress} counter name astray
  }
}
`
  await mustRun(node, node.netnsPath, 'nft -f /dev/stdin', rules)
}

export async function countMarks(node: TestNode): Promise<MarkCounts> {
  const text = await mustRun(node, node.netnsPath, 'nft list counters table ip vct-watch')
  const packets = (name: string): number => Number(new RegExp(`counter ${name} \\{\\s+packets (\\d+)`).exec(text)?.[1])
  return {
    marked: packets('marked'),
    leftover: packets('leftover'),
    byPrimary: packets('byPrimary'),
    bySecondary: packets('bySecondary'),
    astray: packets('astray'),
  }
}
