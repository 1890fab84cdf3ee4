import { enumerate, iptablesChains, type RuleNamesSeen, tablePhrases } from '../nftables/foreign-rules.ts'

// Felix, Calico's agent on the node. Beside our engine it would judge the same packets by its own copy of the policies: in
// policy-only mode it waits for our interfaces, whose names are of its making. Its names come from its code:
// felix/rules/rule_defs.go (ChainNamePrefix, in every mode but the one below; the eBPF mode has a few of these, too) and
// felix/dataplane/linux/int_dataplane.go (the one table of its nftables mode, in ip and ip6).
const chainPrefix = 'cali-'
const nftablesTable = 'calico'

/** What to look for: `readRuleNames(isCalicoChain, [])`. */
export function isCalicoChain(chain: string): boolean {
  return chain.startsWith(chainPrefix)
}

/** What Calico has or left on the node, one phrase for each table: its chains are thousands. Empty: nothing. */
export function findCalico(seen: RuleNamesSeen): readonly string[] {
  const perTable = Map.groupBy(iptablesChains(seen, isCalicoChain), ({ table, tool }) => `table ${table} (${tool})`)
  const chains = [...perTable].map(([table, { length }]) => {
    return `${length} ${length === 1 ? 'chain' : 'chains'} ${chainPrefix}* in ${table}`
  })
  return [...tablePhrases(seen, nftablesTable), ...chains]
}

/** The sentences to refuse with; undefined when nothing stands in the way. */
export function refusalBesideCalico(found: readonly string[]): string | undefined {
  if (found.length === 0) return undefined
  return (
    `found ${enumerate(found)}: Calico enforces network policy on this node, or did and left its rules. Two engines would ` +
    'judge the same packets, so this one loads nothing. Either leave policy to Calico, with "policy: calico" under ' +
    '"kubernetes" in agent.yaml, or remove Calico from the cluster and then its rules from this node, chain by chain or ' +
    'with a reboot'
  )
}
