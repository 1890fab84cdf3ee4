import { AF_UNSPEC, NLM_F_DUMP, NLM_F_REQUEST } from './constants.ts'
import { NETLINK_NETFILTER, nfgenmsg, splitNfgenmsg } from './nfnetlink.ts'
import {
  NFT_MSG_GETCHAIN,
  NFT_MSG_GETTABLE,
  NFTA_CHAIN_NAME,
  NFTA_CHAIN_TABLE,
  NFTA_TABLE_NAME,
  nftablesMessage,
} from './nftables/constants.ts'
import { NetlinkSocket } from './socket.ts'
import type { NetlinkRequest } from './wire.ts'

// What others have in nf_tables, by name (linux/netfilter/nf_tables.h). iptables-nft keeps its tables there too.

const receiveBytes = 64 * 1024

/** NFPROTO_*, linux/netfilter.h */
const familyNames = new Map([
  [1, 'inet'],
  [2, 'ip'],
  [3, 'arp'],
  [5, 'netdev'],
  [7, 'bridge'],
  [10, 'ip6'],
])

export interface NftablesTableName {
  /** As nft(8) calls it. */
  readonly family: string
  readonly table: string
}
export interface NftablesChainName extends NftablesTableName {
  readonly chain: string
}

export interface NftablesNames {
  readonly tables: readonly NftablesTableName[]
  readonly chains: readonly NftablesChainName[]
}

/** Of the calling thread's namespace: all tables, and the chains that `isWanted`, of which there may be very many. */
export function listNftablesNames(isWanted: (chain: NftablesChainName) => boolean): NftablesNames {
  using socket = new NetlinkSocket(receiveBytes, NETLINK_NETFILTER)
  const tables = socket.dump(dumpOf(NFT_MSG_GETTABLE), decodeTableName)
  const chains = socket.dump(dumpOf(NFT_MSG_GETCHAIN), (body) => {
    const chain = decodeChainName(body)
    return isWanted(chain) ? chain : undefined
  })
  return { tables, chains }
}

export function decodeTableName(body: Buffer): NftablesTableName {
  const [family, attributes] = splitNfgenmsg(body)
  return { family: familyName(family), table: attributes.text(NFTA_TABLE_NAME) ?? '' }
}

export function decodeChainName(body: Buffer): NftablesChainName {
  const [family, attributes] = splitNfgenmsg(body)
  return {
    family: familyName(family),
    table: attributes.text(NFTA_CHAIN_TABLE) ?? '',
    chain: attributes.text(NFTA_CHAIN_NAME) ?? '',
  }
}

function familyName(number: number): string {
  return familyNames.get(number) ?? String(number)
}

function dumpOf(message: number): NetlinkRequest {
  return { type: nftablesMessage(message), flags: NLM_F_REQUEST | NLM_F_DUMP, body: nfgenmsg(AF_UNSPEC).done() }
}
