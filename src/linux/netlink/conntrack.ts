import { familyOf, type IpFamily } from '../../base/ip.ts'
import { AF_UNSPEC, NLM_F_DUMP, NLM_F_REQUEST } from './constants.ts'
import {
  type ConntrackProtocol,
  type ConntrackTuple,
  decodeTuple,
  protocolOf,
  writeProtocol,
  writeTuple,
} from './conntrack-tuple.ts'
import { addressFamilyNumber, familyFromNumber } from './inet.ts'
import { nfgenmsg, NLA_F_NESTED, splitNfgenmsg, u16Bytes, u16Of, u32Bytes, u32Of } from './nfnetlink.ts'
import type { NetlinkRequest } from './wire.ts'

// Connection tracking's table (ctnetlink; linux/netfilter/nfnetlink_conntrack.h, nf_conntrack_common.h).

const NFNL_SUBSYS_CTNETLINK = 1
const IPCTNL_MSG_CT_GET = 1
const IPCTNL_MSG_CT_DELETE = 2
const CTA_TUPLE_ORIG = 1
const CTA_TUPLE_REPLY = 2
const CTA_STATUS = 3
const CTA_TIMEOUT = 7
const CTA_MARK = 8
const CTA_ID = 12
const CTA_ZONE = 18
const CTA_MARK_MASK = 21
const CTA_FILTER = 25
const CTA_FILTER_ORIG_FLAGS = 1
const CTA_FILTER_REPLY_FLAGS = 2
/** net/netfilter/nf_internals.h; the only part of a tuple that we filter by. */
const CTA_FILTER_F_CTA_PROTO_NUM = 1 << 3
const IPS_SEEN_REPLY = 1 << 1
const IPS_ASSURED = 1 << 2
const IPS_CONFIRMED = 1 << 3
const IPS_SRC_NAT = 1 << 4
const IPS_DST_NAT = 1 << 5
const IPS_DYING = 1 << 9
const IPS_OFFLOAD = 1 << 14

/** A tracked connection. Without NAT, `reply` is `original` turned round; where it went is `reply.source`. */
export interface ConntrackEntry {
  readonly family: IpFamily
  readonly protocol: ConntrackProtocol
  readonly protocolNumber: number
  readonly original: ConntrackTuple
  readonly reply: ConntrackTuple
  readonly status: ConntrackStatus
  readonly mark: number
  /** How long it lasts without another packet; 0 where the kernel does not tell (offloaded flows). */
  readonly timeoutSeconds: number
  /** Made of its place in memory and its addresses and ports: a later flow of the same mostly has another, not always. */
  readonly id: number
  readonly zone: number
}

export interface ConntrackStatus {
  readonly hasSeenReply: boolean
  /** Not thrown out when the table is full. */
  readonly isAssured: boolean
  /** Its first packet has left; others are of the moment. */
  readonly isConfirmed: boolean
  readonly isSourceNat: boolean
  readonly isDestinationNat: boolean
  readonly isDying: boolean
  /** Its packets go through a flowtable, past the rules. */
  readonly isOffloaded: boolean
}

/** What the kernel leaves out of a dump by itself. */
export interface ConntrackFilter {
  readonly family?: IpFamily
  /** IPPROTO_*. Linux 5.8 and later; needs a family. */
  readonly protocolNumber?: number
  readonly mark?: { readonly value: number; readonly mask: number }
  /** Absent: all zones. */
  readonly zone?: number
}

export const conntrackMessage = (message: number): number => (NFNL_SUBSYS_CTNETLINK << 8) | message

export function dumpConntrack({ family, protocolNumber, mark, zone }: ConntrackFilter): NetlinkRequest {
  if (protocolNumber !== undefined && family === undefined) {
    throw new Error('a conntrack filter with protocolNumber needs a family')
  }
  const writer = nfgenmsg(family === undefined ? AF_UNSPEC : addressFamilyNumber(family))
  if (protocolNumber !== undefined) writeProtocol(writer, CTA_TUPLE_ORIG, protocolNumber)
  if (mark !== undefined) {
    writer.attribute(CTA_MARK, u32Bytes(mark.value)).attribute(CTA_MARK_MASK, u32Bytes(mark.mask))
  }
  if (zone !== undefined) writer.attribute(CTA_ZONE, u16Bytes(zone))
  if (protocolNumber !== undefined) {
    // Of all ctnetlink's integers these alone are in the machine's order (ctnetlink_parse_filter).
    writer.nested(CTA_FILTER | NLA_F_NESTED, (inFilter) => {
      inFilter.u32(CTA_FILTER_ORIG_FLAGS, CTA_FILTER_F_CTA_PROTO_NUM).u32(CTA_FILTER_REPLY_FLAGS, 0)
    })
  }
  return { type: conntrackMessage(IPCTNL_MSG_CT_GET), flags: NLM_F_REQUEST | NLM_F_DUMP, body: writer.done() }
}

/** ENOENT when it is gone, also when one of another identity has its addresses and ports by now. */
export function deleteConntrack({
  original,
  protocolNumber,
  id,
  zone,
}: Pick<ConntrackEntry, 'original' | 'protocolNumber' | 'id' | 'zone'>): NetlinkRequest {
  const writer = nfgenmsg(addressFamilyNumber(familyOf(original.source)))
  // Never without: a deletion that has no tuple empties the table (ctnetlink_del_conntrack).
  writeTuple(writer, CTA_TUPLE_ORIG, protocolNumber, original)
  writer.attribute(CTA_ID, u32Bytes(id))
  if (zone !== 0) writer.attribute(CTA_ZONE, u16Bytes(zone))
  return { type: conntrackMessage(IPCTNL_MSG_CT_DELETE), flags: NLM_F_REQUEST, body: writer.done() }
}

/** Body of IPCTNL_MSG_CT_NEW; undefined for what is neither IPv4 nor IPv6. */
export function decodeConntrack(body: Buffer): ConntrackEntry | undefined {
  const [familyNumber, attributes] = splitNfgenmsg(body)
  const family = familyFromNumber(familyNumber)
  if (family === undefined) return undefined
  const [protocolNumber, original] = decodeTuple(attributes.nested(CTA_TUPLE_ORIG), family)
  const [, reply] = decodeTuple(attributes.nested(CTA_TUPLE_REPLY), family)
  return {
    family,
    protocol: protocolOf(protocolNumber),
    protocolNumber,
    original,
    reply,
    status: decodeStatus(u32Of(attributes, CTA_STATUS) ?? 0),
    mark: u32Of(attributes, CTA_MARK) ?? 0,
    timeoutSeconds: u32Of(attributes, CTA_TIMEOUT) ?? 0,
    id: u32Of(attributes, CTA_ID) ?? 0,
    zone: u16Of(attributes, CTA_ZONE) ?? 0,
  }
}

/** Kernels pass over what they do not know of a filter (CTA_FILTER before 5.8, CTA_ZONE before 6.8): ask again. */
export function passesFilter(entry: ConntrackEntry, { family, protocolNumber, mark, zone }: ConntrackFilter): boolean {
  return (
    (family === undefined || entry.family === family) &&
    (protocolNumber === undefined || entry.protocolNumber === protocolNumber) &&
    (mark === undefined || (entry.mark & mark.mask) >>> 0 === mark.value) &&
    (zone === undefined || entry.zone === zone)
  )
}

function decodeStatus(bits: number): ConntrackStatus {
  return {
    hasSeenReply: (bits & IPS_SEEN_REPLY) !== 0,
    isAssured: (bits & IPS_ASSURED) !== 0,
    isConfirmed: (bits & IPS_CONFIRMED) !== 0,
    isSourceNat: (bits & IPS_SRC_NAT) !== 0,
    isDestinationNat: (bits & IPS_DST_NAT) !== 0,
    isDying: (bits & IPS_DYING) !== 0,
    isOffloaded: (bits & IPS_OFFLOAD) !== 0,
  }
}
