import { type LegacyChain, listLegacyChains } from './iptables-legacy.ts'
import { decodeLink, getLink } from './netlink/link.ts'
import { listNftablesNames, type NftablesChainName, type NftablesTableName } from './netlink/nftables-names.ts'
import { NetlinkSocket } from './netlink/socket.ts'

/** Names by which one can tell whose packet rules are in a namespace. */
export interface RuleNames {
  readonly nftablesTables: readonly NftablesTableName[]
  /** Those asked for. iptables-nft's chains are among them: tables nat, filter and so on of the families ip and ip6. */
  readonly nftablesChains: readonly NftablesChainName[]
  /** Those asked for, of iptables-legacy. */
  readonly legacyChains: readonly LegacyChain[]
  /** Which of the interfaces asked for are there. */
  readonly links: readonly string[]
}

/** Looks at the calling thread's namespace, without a process: call it within `withNetns` for another one. */
export function readRuleNames(isWantedChain: (chain: string) => boolean, links: readonly string[]): RuleNames {
  const nftables = listNftablesNames(({ chain }) => isWantedChain(chain))
  const legacyChains = [...listLegacyChains(4), ...listLegacyChains(6)].filter(({ chain }) => isWantedChain(chain))
  return {
    nftablesTables: nftables.tables,
    nftablesChains: nftables.chains,
    legacyChains,
    links: presentLinks(links),
  }
}

function presentLinks(names: readonly string[]): readonly string[] {
  using socket = new NetlinkSocket()
  return names.filter((name) => {
    const found = socket.get(getLink({ name }), decodeLink)
    if (!found.ok && found.error.code !== 'ENODEV') throw found.error
    return found.ok
  })
}
