import { AF_UNSPEC, NLM_F_DUMP, NLM_F_REQUEST } from './constants.ts'
import { conntrackMessage } from './conntrack.ts'
import { nfgenmsg, splitNfgenmsg, u32Of } from './nfnetlink.ts'
import type { NetlinkRequest } from './wire.ts'

// enum ctattr_stats_global and ctattr_stats_cpu (linux/netfilter/nfnetlink_conntrack.h)

const IPCTNL_MSG_CT_GET_STATS_CPU = 4
const IPCTNL_MSG_CT_GET_STATS = 5
const CTA_STATS_GLOBAL_ENTRIES = 1
const CTA_STATS_GLOBAL_MAX_ENTRIES = 2

const counterAttributes = {
  found: 2,
  invalid: 4,
  inserted: 8,
  insertFailed: 9,
  dropped: 10,
  droppedEarly: 11,
  errors: 12,
  searchRestarted: 13,
  clashResolved: 14,
  chainTooLong: 15,
} as const

/** How full the namespace's table is; at `maximum` new connections are dropped (nf_conntrack_max). */
export interface ConntrackCount {
  readonly entries: number
  readonly maximum: number
}

/** Since the namespace was made; 32-bit counters of the kernel, which start again from 0. */
export type ConntrackCounters = Readonly<Record<keyof typeof counterAttributes, number>>

export function getConntrackCount(): NetlinkRequest {
  return request(IPCTNL_MSG_CT_GET_STATS, NLM_F_REQUEST)
}

/** Answers a message for each processor. */
export function dumpConntrackCounters(): NetlinkRequest {
  return request(IPCTNL_MSG_CT_GET_STATS_CPU, NLM_F_REQUEST | NLM_F_DUMP)
}

export function decodeConntrackCount(body: Buffer): ConntrackCount {
  const [, attributes] = splitNfgenmsg(body)
  return {
    entries: u32Of(attributes, CTA_STATS_GLOBAL_ENTRIES) ?? 0,
    maximum: u32Of(attributes, CTA_STATS_GLOBAL_MAX_ENTRIES) ?? 0,
  }
}

export function decodeConntrackCounters(body: Buffer): ConntrackCounters {
  const [, attributes] = splitNfgenmsg(body)
  return mapCounters((name) => u32Of(attributes, counterAttributes[name]) ?? 0)
}

export function sumConntrackCounters(processors: readonly ConntrackCounters[]): ConntrackCounters {
  return mapCounters((name) => processors.reduce((sum, counters) => sum + counters[name], 0))
}

function mapCounters(count: (name: keyof ConntrackCounters) => number): ConntrackCounters {
  return {
    found: count('found'),
    invalid: count('invalid'),
    inserted: count('inserted'),
    insertFailed: count('insertFailed'),
    dropped: count('dropped'),
    droppedEarly: count('droppedEarly'),
    errors: count('errors'),
    searchRestarted: count('searchRestarted'),
    clashResolved: count('clashResolved'),
    chainTooLong: count('chainTooLong'),
  }
}

function request(message: number, flags: number): NetlinkRequest {
  return { type: conntrackMessage(message), flags, body: nfgenmsg(AF_UNSPEC).done() }
}
