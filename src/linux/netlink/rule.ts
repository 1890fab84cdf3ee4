import type { Cidr } from '../../base/cidr.ts'
import { ipToBytes, type IpFamily } from '../../base/ip.ts'
import {
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  NLM_F_REQUEST,
  RTM_DELRULE,
  RTM_GETRULE,
  RTM_NEWRULE,
} from './constants.ts'
import { addressFamilyNumber, decodeBlock, familyFromNumber } from './inet.ts'
import { type Attributes, BodyWriter, type NetlinkRequest, splitBody } from './wire.ts'

// linux/fib_rules.h
const FRA_SRC = 2
const FRA_PRIORITY = 6
const FRA_FWMARK = 10
const FRA_SUPPRESS_PREFIXLEN = 14
const FRA_TABLE = 15
const FRA_FWMASK = 16
const FRA_PROTOCOL = 21
const FR_ACT_TO_TBL = 1
/** The rule holds for what does *not* match (`ip rule add not from …`). */
const FIB_RULE_INVERT = 2
/** Every rule carries FRA_SUPPRESS_PREFIXLEN; -1 is "use what the table says" (net/core/fib_rules.c). */
const suppressNothing = 0xffff_ffff
const ruleHeaderBytes = 12
/** What rules may carry that select by source, and by bits that are not set; anything more is a selector we do not know. */
const plainAttributes = new Set([
  ...[FRA_SRC, FRA_PRIORITY, FRA_SUPPRESS_PREFIXLEN, FRA_TABLE, FRA_PROTOCOL],
  ...[FRA_FWMARK, FRA_FWMASK],
])

/** A policy routing rule that looks a table up for packets from a block (ip-rule(8)). */
export interface Rule {
  readonly family: IpFamily
  readonly priority: number
  readonly table: number
  /** Absent: from anywhere. */
  readonly from?: Cidr
  /** Only for packets whose mark has none of these bits (`fwmark 0/BITS`). Never 0. */
  readonly unlessMarked?: number
  /** Only for packets with exactly this mark. Never 0, nor together with the other; read back it is one of `hasOtherSelectors`. */
  readonly marked?: number
  readonly protocol: number
  /** Set when the rule has selectors or actions beyond these fields; such rules are never ours. */
  readonly hasOtherSelectors?: true
}

export function addRule(rule: Rule): NetlinkRequest {
  return { type: RTM_NEWRULE, flags: NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL, body: encode(rule) }
}

export function deleteRule(rule: Rule): NetlinkRequest {
  return { type: RTM_DELRULE, flags: NLM_F_REQUEST, body: encode(rule) }
}

export function dumpRules(family: IpFamily): NetlinkRequest {
  const fixed = Buffer.alloc(ruleHeaderBytes)
  fixed.writeUInt8(addressFamilyNumber(family), 0)
  return { type: RTM_GETRULE, flags: NLM_F_REQUEST | NLM_F_DUMP, body: fixed }
}

/** Body of RTM_NEWRULE or RTM_DELRULE. */
export function decodeRule(body: Buffer): Rule {
  const [fixed, attributes] = splitBody(body, ruleHeaderBytes)
  // Multicast routing's rules (RTNL_FAMILY_IPMR) come in the same messages.
  const family = familyFromNumber(fixed.readUInt8(0))
  const from = attributes.bytes(FRA_SRC)
  const others = family === undefined || hasOthers(fixed, attributes)
  const mask = markOf(attributes) === 0 ? (attributes.u32(FRA_FWMASK) ?? 0) : 0
  return {
    family: family ?? 4,
    priority: attributes.u32(FRA_PRIORITY) ?? 0,
    table: attributes.u32(FRA_TABLE) ?? fixed.readUInt8(4),
    protocol: attributes.u8(FRA_PROTOCOL) ?? 0,
    ...(from !== undefined && family !== undefined && { from: decodeBlock(from, fixed.readUInt8(2), family) }),
    ...(mask !== 0 && { unlessMarked: mask }),
    ...(others && { hasOtherSelectors: true }),
  }
}

function hasOthers(fixed: Buffer, attributes: Attributes): boolean {
  const [destinationLength, typeOfService, action] = [fixed.readUInt8(1), fixed.readUInt8(3), fixed.readUInt8(7)]
  if (destinationLength !== 0 || typeOfService !== 0 || action !== FR_ACT_TO_TBL) return true
  if ((fixed.readUInt32LE(8) & FIB_RULE_INVERT) !== 0) return true
  if ((attributes.u32(FRA_SUPPRESS_PREFIXLEN) ?? suppressNothing) !== suppressNothing) return true
  if (markOf(attributes) !== 0) return true
  return attributes.types().some((type) => !plainAttributes.has(type))
}

/** Not 0: the rule is for packets that carry it. The kernel leaves a 0 out. */
function markOf(attributes: Attributes): number {
  return attributes.u32(FRA_FWMARK) ?? 0
}

function encode(rule: Rule): Buffer {
  // The kernel tells "from all" without an address: sent with one, the rule would read back as another.
  const from = rule.from?.prefixLength === 0 ? undefined : rule.from
  const fixed = Buffer.alloc(ruleHeaderBytes)
  fixed.writeUInt8(addressFamilyNumber(rule.family), 0)
  fixed.writeUInt8(from?.prefixLength ?? 0, 2)
  fixed.writeUInt8(rule.table < 256 ? rule.table : 0, 4)
  fixed.writeUInt8(FR_ACT_TO_TBL, 7)
  const writer = new BodyWriter().bytes(fixed)
  if (from !== undefined) writer.attribute(FRA_SRC, ipToBytes(from.address))
  writer.u32(FRA_PRIORITY, rule.priority).u32(FRA_TABLE, rule.table)
  if (rule.unlessMarked !== undefined) writer.u32(FRA_FWMARK, 0).u32(FRA_FWMASK, rule.unlessMarked)
  if (rule.marked !== undefined) writer.u32(FRA_FWMARK, rule.marked)
  return writer.u8(FRA_PROTOCOL, rule.protocol).done()
}
