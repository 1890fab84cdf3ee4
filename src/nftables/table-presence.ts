import { SystemError } from '../linux/libc.ts'
import { NetlinkError } from '../linux/netlink/failure.ts'
import { NftablesSocket } from '../linux/netlink/nftables/socket.ts'
import { addressOf } from './raw-elements.ts'
import type { TableName } from './render.ts'

/** Whether the calling thread's namespace has the table. Throws where the kernel has no nf_tables. */
export function isTableThere(name: TableName): boolean {
  using socket = new NftablesSocket()
  return socket.table(addressOf(name)) !== undefined
}

/** The kernel's own refusal to talk about nf_tables, and not a bug of ours. */
export function isWithoutNftables(error: unknown): error is SystemError | NetlinkError {
  return error instanceof SystemError || error instanceof NetlinkError
}
