import type { Cidr } from '../../base/cidr.ts'
import { ipFromBytes, ipToBytes, type IpFamily } from '../../base/ip.ts'
import {
  AF_INET,
  AF_INET6,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  NLM_F_REQUEST,
  RTM_DELRULE,
  RTM_GETRULE,
  RTM_NEWRULE,
} from './constants.ts'
import { BodyWriter, type NetlinkRequest, splitBody } from './wire.ts'

// linux/fib_rules.h
const FRA_DST = 1
const FRA_SRC = 2
const FRA_PRIORITY = 6
const FRA_SUPPRESS_IFGROUP = 13
const FRA_SUPPRESS_PREFIXLEN = 14
const FRA_TABLE = 15
const FRA_PROTOCOL = 21
const FR_ACT_TO_TBL = 1
const ruleHeaderBytes = 12
/** What every rule that selects by addresses alone carries; anything more is a selector we do not know. */
const plainAttributes = new Set([
  FRA_DST,
  FRA_SRC,
  FRA_PRIORITY,
  FRA_SUPPRESS_IFGROUP,
  FRA_SUPPRESS_PREFIXLEN,
  FRA_TABLE,
  FRA_PROTOCOL,
])

/** A policy routing rule that looks a table up for packets from a block (ip-rule(8)). */
export interface Rule {
  readonly family: IpFamily
  readonly priority: number
  readonly table: number
  /** Absent: from anywhere. */
  readonly from?: Cidr
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
  fixed.writeUInt8(family === 4 ? AF_INET : AF_INET6, 0)
  return { type: RTM_GETRULE, flags: NLM_F_REQUEST | NLM_F_DUMP, body: fixed }
}

/** Body of RTM_NEWRULE or RTM_DELRULE. */
export function decodeRule(body: Buffer): Rule {
  const [fixed, attributes] = splitBody(body, ruleHeaderBytes)
  const from = attributes.bytes(FRA_SRC)
  const others =
    fixed.readUInt8(7) !== FR_ACT_TO_TBL ||
    fixed.readUInt8(1) !== 0 ||
    fixed.readUInt8(3) !== 0 ||
    attributes.types().some((type) => !plainAttributes.has(type))
  return {
    family: fixed.readUInt8(0) === AF_INET6 ? 6 : 4,
    priority: attributes.u32(FRA_PRIORITY) ?? 0,
    table: attributes.u32(FRA_TABLE) ?? fixed.readUInt8(4),
    protocol: attributes.u8(FRA_PROTOCOL) ?? 0,
    ...(from !== undefined && { from: { address: ipFromBytes(from), prefixLength: fixed.readUInt8(2) } }),
    ...(others && { hasOtherSelectors: true }),
  }
}

function encode(rule: Rule): Buffer {
  const fixed = Buffer.alloc(ruleHeaderBytes)
  fixed.writeUInt8(rule.family === 4 ? AF_INET : AF_INET6, 0)
  fixed.writeUInt8(rule.from?.prefixLength ?? 0, 2)
  fixed.writeUInt8(rule.table < 256 ? rule.table : 0, 4)
  fixed.writeUInt8(FR_ACT_TO_TBL, 7)
  const writer = new BodyWriter().bytes(fixed)
  if (rule.from !== undefined) writer.attribute(FRA_SRC, ipToBytes(rule.from.address))
  return writer.u32(FRA_PRIORITY, rule.priority).u32(FRA_TABLE, rule.table).u8(FRA_PROTOCOL, rule.protocol).done()
}
