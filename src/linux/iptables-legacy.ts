import { readFileSync } from 'node:fs'
import type { IpFamily } from '../base/ip.ts'
import { Fd } from './fd.ts'
import * as libc from './libc.ts'

// iptables-legacy's tables are not in nf_tables: they are read as blobs, by getsockopt on a raw socket
// (linux/netfilter_ipv4/ip_tables.h, linux/netfilter_ipv6/ip6_tables.h, linux/netfilter/x_tables.h).

const SOCK_RAW = 3
const SOCK_CLOEXEC = 0o2000000
const IPPROTO_RAW = 255
/** IPT_SO_GET_INFO and IP6T_SO_GET_INFO; IPT_SO_GET_ENTRIES and IP6T_SO_GET_ENTRIES. */
const GET_INFO = 64
const GET_ENTRIES = 65
const tableNameBytes = 32
const infoBytes = 84
const infoSizeOffset = 80
/** struct ipt_get_entries: name, size, and padding to eight bytes. */
const entriesHeaderBytes = 40
const attempts = 10
/** struct xt_entry_target: length, name, revision; XT_ERROR_TARGET's data is a name. */
const targetHeaderBytes = 32
const errorTarget = 'ERROR'

interface Layout {
  readonly domain: number
  readonly level: number
  readonly namesFile: string
  /** Of target_offset and next_offset in struct ipt_entry or ip6t_entry. */
  readonly targetOffset: number
  readonly nextOffset: number
}

const layouts: Readonly<Record<IpFamily, Layout>> = {
  4: { domain: 2, level: 0, namesFile: 'ip_tables_names', targetOffset: 88, nextOffset: 90 },
  6: { domain: 10, level: 41, namesFile: 'ip6_tables_names', targetOffset: 140, nextOffset: 142 },
}

export interface LegacyChain {
  readonly family: IpFamily
  readonly table: string
  readonly chain: string
}

/** The chains that somebody made (not INPUT and the like) in the calling thread's namespace. Needs CAP_NET_ADMIN. */
export function listLegacyChains(family: IpFamily): readonly LegacyChain[] {
  // Asking the kernel for a table makes it; only those that are listed are there (and nobody's hooks get slower).
  const tables = legacyTables(family)
  if (tables.length === 0) return []
  const layout = layouts[family]
  using socket = new Fd(libc.socket(layout.domain, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW))
  return tables.flatMap((table) =>
    chainNames(readEntries(socket.number, layout, table), layout).map((chain) => ({ family, table, chain })),
  )
}

/** Such as nat and filter; empty without the kernel's module. */
function legacyTables(family: IpFamily): readonly string[] {
  try {
    // thread-self: /proc/net is the main thread's namespace.
    const text = readFileSync(`/proc/thread-self/net/${layouts[family].namesFile}`, 'utf8')
    return text.split('\n').filter((name) => name !== '')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  }
}

function readEntries(socket: number, layout: Layout, table: string): Buffer {
  for (let attempt = 1; ; attempt++) {
    const info = Buffer.alloc(infoBytes)
    info.write(table, 0, tableNameBytes - 1, 'latin1')
    libc.getsockopt(socket, layout.level, GET_INFO, info)
    const size = info.readUInt32LE(infoSizeOffset)
    const answer = Buffer.alloc(entriesHeaderBytes + size)
    answer.write(table, 0, tableNameBytes - 1, 'latin1')
    answer.writeUInt32LE(size, tableNameBytes)
    try {
      libc.getsockopt(socket, layout.level, GET_ENTRIES, answer)
      return answer.subarray(entriesHeaderBytes)
    } catch (error) {
      // The table was replaced between the two questions (get_entries).
      const isChanged = error instanceof libc.SystemError && error.code === 'EAGAIN'
      if (!isChanged || attempt === attempts) throw error
    }
  }
}

/** A chain begins with an entry whose target is ERROR and carries its name; the last such entry ends the table. */
export function chainNames(entries: Buffer, { targetOffset, nextOffset }: Layout): readonly string[] {
  const names: string[] = []
  for (let at = 0; at + nextOffset + 2 <= entries.length;) {
    const target = at + entries.readUInt16LE(at + targetOffset)
    const next = entries.readUInt16LE(at + nextOffset)
    if (next <= nextOffset) throw new Error(`an iptables entry claims ${next} bytes`)
    const data = target + targetHeaderBytes
    if (data <= at + next && textAt(entries, target + 2, data - 1) === errorTarget) {
      const name = textAt(entries, data, at + next)
      if (name !== errorTarget) names.push(name)
    }
    at += next
  }
  return names
}

function textAt(bytes: Buffer, start: number, end: number): string {
  const zero = bytes.indexOf(0, start)
  return bytes.toString('latin1', start, zero < 0 || zero > end ? end : zero)
}
