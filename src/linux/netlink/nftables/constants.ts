// Numbers of linux/netfilter/nfnetlink.h and linux/netfilter/nf_tables.h.
export const NFNL_SUBSYS_NFTABLES = 10
export const NFNL_MSG_BATCH_BEGIN = 16
export const NFNL_MSG_BATCH_END = 17
export const NFNL_BATCH_GENID = 1

/** enum nf_tables_msg_types; the message's type is this under the number of the subsystem. */
export const NFT_MSG_NEWTABLE = 0
export const NFT_MSG_GETTABLE = 1
export const NFT_MSG_DELTABLE = 2
export const NFT_MSG_NEWCHAIN = 3
export const NFT_MSG_GETCHAIN = 4
export const NFT_MSG_DELCHAIN = 5
export const NFT_MSG_GETRULE = 7
export const NFT_MSG_GETSET = 10
export const NFT_MSG_NEWSETELEM = 12
export const NFT_MSG_GETSETELEM = 13
export const NFT_MSG_DELSETELEM = 14
export const NFT_MSG_NEWGEN = 15
export const NFT_MSG_GETGEN = 16

export const nftablesMessage = (message: number): number => (NFNL_SUBSYS_NFTABLES << 8) | message

export const NFTA_LIST_ELEM = 1
export const NFTA_TABLE_NAME = 1
export const NFTA_TABLE_FLAGS = 2
export const NFTA_TABLE_USE = 3
export const NFTA_TABLE_HANDLE = 4
export const NFT_TABLE_F_DORMANT = 1
export const NFTA_CHAIN_TABLE = 1
export const NFTA_CHAIN_NAME = 3
export const NFTA_RULE_TABLE = 1
export const NFTA_RULE_CHAIN = 2
export const NFTA_RULE_HANDLE = 3
export const NFTA_SET_TABLE = 1
export const NFTA_SET_NAME = 2
export const NFTA_SET_HANDLE = 16
/** Since Linux 6.16. */
export const NFTA_SET_COUNT = 20
export const NFTA_SET_ELEM_LIST_TABLE = 1
export const NFTA_SET_ELEM_LIST_SET = 2
export const NFTA_SET_ELEM_LIST_ELEMENTS = 3
export const NFTA_SET_ELEM_KEY = 1
export const NFTA_SET_ELEM_DATA = 2
export const NFTA_SET_ELEM_FLAGS = 3
export const NFTA_SET_ELEM_EXPR = 7
export const NFTA_SET_ELEM_KEY_END = 10
export const NFT_SET_ELEM_INTERVAL_END = 1
export const NFTA_DATA_VALUE = 1
export const NFTA_DATA_VERDICT = 2
export const NFTA_VERDICT_CODE = 1
export const NFTA_VERDICT_CHAIN = 2
export const NFTA_GEN_ID = 1
export const NFTA_EXPR_NAME = 1
export const NFTA_EXPR_DATA = 2
export const NFTA_COUNTER_BYTES = 1
export const NFTA_COUNTER_PACKETS = 2

/** enum nft_verdicts, and NF_DROP and NF_ACCEPT of linux/netfilter.h. */
export const verdictCodes = { accept: 1, drop: 0, continue: -1, jump: -3, goto: -4, return: -5 } as const
export type VerdictWord = keyof typeof verdictCodes
