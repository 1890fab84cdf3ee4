// By names alone one can tell whose packet rules are on a node, without listing a ruleset.

/** What is in the node's namespace, by name. */
export interface RuleNamesSeen {
  readonly nftablesTables: readonly { readonly family: string; readonly table: string }[]
  /** iptables-nft's are among them: tables nat, filter and so on of the families ip and ip6. */
  readonly nftablesChains: readonly { readonly family: string; readonly table: string; readonly chain: string }[]
  readonly legacyChains: readonly { readonly family: 4 | 6; readonly table: string; readonly chain: string }[]
  readonly links: readonly string[]
}

export interface IptablesChain {
  readonly chain: string
  readonly table: string
  /** The program that shows it, as `ip6tables-legacy`. */
  readonly tool: string
}

/** Those that `isWanted`, of both kinds of iptables and both families. */
export function iptablesChains(seen: RuleNamesSeen, isWanted: (chain: string) => boolean): readonly IptablesChain[] {
  const nft = seen.nftablesChains.map(({ family, table, chain }) => {
    return { chain, table, tool: family === 'ip6' ? 'ip6tables-nft' : 'iptables-nft' }
  })
  const legacy = seen.legacyChains.map(({ family, table, chain }) => {
    return { chain, table, tool: family === 6 ? 'ip6tables-legacy' : 'iptables-legacy' }
  })
  return [...nft, ...legacy].filter(({ chain }) => isWanted(chain))
}

/** Tables of this name in any family, one phrase each. */
export function tablePhrases({ nftablesTables }: RuleNamesSeen, name: string): readonly string[] {
  return nftablesTables
    .filter(({ table }) => table === name)
    .map(({ family, table }) => `table ${family} ${table} (nftables)`)
}

const phrasesTold = 3

/** As much of it as a sentence bears. */
export function enumerate(phrases: readonly string[]): string {
  const more = phrases.length - phrasesTold
  return [...phrases.slice(0, phrasesTold), ...(more > 0 ? [`${more} more`] : [])].join(', ')
}
