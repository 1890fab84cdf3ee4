import type { Cidr } from '../../base/cidr.ts'
import { familyOf, ipToBytes, type Ip, type IpFamily } from '../../base/ip.ts'
import { type Scope, scopeFromNumber, scopeNumber } from './address.ts'
import {
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  NLM_F_REPLACE,
  NLM_F_REQUEST,
  RTM_DELROUTE,
  RTM_GETROUTE,
  RTM_NEWROUTE,
} from './constants.ts'
import { addressFamilyNumber, decodeBlock, decodeIp, familyFromNumber } from './inet.ts'
import { type Attributes, BodyWriter, type NetlinkRequest, splitBody } from './wire.ts'

// linux/rtnetlink.h
const RTA_DST = 1
const RTA_OIF = 4
const RTA_GATEWAY = 5
const RTA_PRIORITY = 6
const RTA_PREFSRC = 7
const RTA_TABLE = 15
/** A next hop of the other address family (RFC 5549), and an encapsulation. */
const RTA_VIA = 18
const RTA_ENCAP = 22
const RTN_UNICAST = 1
const RTN_LOCAL = 2
const RTN_UNREACHABLE = 7
const typeNumber = { local: RTN_LOCAL, unreachable: RTN_UNREACHABLE } as const
const RT_TABLE_COMPAT = 252
const RTM_F_CLONED = 0x200
const rtmsgBytes = 12

export const mainTable = 254

/** A unicast route through one interface, or a refusal: all that this project installs. */
export interface Route {
  /**
   * Absent: unicast. An unreachable destination is answered with ICMP host unreachable; what is for a local one is this
   * machine's own (never read back: the kernel itself has one for each of its addresses).
   */
  readonly type?: 'unreachable' | 'local'
  readonly table: number
  readonly destination: Cidr
  /** 0 for an unreachable destination, which has no interface. */
  readonly ifindex: number
  readonly gateway?: Ip
  readonly source?: Ip
  readonly scope: Scope
  /** Who installed it (linux/rtnetlink.h, RTPROT_*): ours are told from others' by it. */
  readonly protocol: number
  readonly metric?: number
}

/** Refuses a second route to the same destination (EEXIST). */
export function addRoute(route: Route): NetlinkRequest {
  return { type: RTM_NEWROUTE, flags: NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL, body: encode(route) }
}

/** Installs it, in place of one to the same destination with the same metric if there is one. */
export function replaceRoute(route: Route): NetlinkRequest {
  return { type: RTM_NEWROUTE, flags: NLM_F_REQUEST | NLM_F_CREATE | NLM_F_REPLACE, body: encode(route) }
}

export function deleteRoute(route: Route): NetlinkRequest {
  return { type: RTM_DELROUTE, flags: NLM_F_REQUEST, body: encode(route) }
}

/** All tables, or one; the kernel filters where the socket checks strictly. */
export function dumpRoutes(
  family: IpFamily,
  filter: { readonly table?: number; readonly protocol?: number } = {},
): NetlinkRequest {
  const fixed = Buffer.alloc(rtmsgBytes)
  fixed.writeUInt8(addressFamilyNumber(family), 0)
  fixed.writeUInt8(filter.protocol ?? 0, 5)
  const writer = new BodyWriter().bytes(fixed)
  if (filter.table !== undefined) writer.u32(RTA_TABLE, filter.table)
  return { type: RTM_GETROUTE, flags: NLM_F_REQUEST | NLM_F_DUMP, body: writer.done() }
}

/**
 * Body of RTM_NEWROUTE or RTM_DELROUTE; undefined for what `Route` cannot say (multipath, local, broadcast, by type of
 * service …): such a route must not pass for one of ours.
 */
export function decodeRoute(body: Buffer): Route | undefined {
  const [fixed, attributes] = splitBody(body, rtmsgBytes)
  const family = familyFromNumber(fixed.readUInt8(0))
  const unreachable = fixed.readUInt8(7) === RTN_UNREACHABLE
  const ifindex = unreachable ? 0 : attributes.u32(RTA_OIF)
  if (family === undefined || ifindex === undefined || hasOthers(fixed, attributes)) return undefined
  const gateway = attributes.bytes(RTA_GATEWAY)
  const source = attributes.bytes(RTA_PREFSRC)
  const metric = attributes.u32(RTA_PRIORITY)
  return {
    ...(unreachable && { type: 'unreachable' }),
    table: attributes.u32(RTA_TABLE) ?? fixed.readUInt8(4),
    destination: decodeBlock(attributes.bytes(RTA_DST), fixed.readUInt8(1), family),
    ifindex,
    scope: scopeFromNumber(fixed.readUInt8(6)),
    protocol: fixed.readUInt8(5),
    ...(gateway !== undefined && { gateway: decodeIp(gateway, family) }),
    ...(source !== undefined && { source: decodeIp(source, family) }),
    ...(metric !== undefined && { metric }),
  }
}

function hasOthers(fixed: Buffer, attributes: Attributes): boolean {
  const [sourceLength, typeOfService, type] = [fixed.readUInt8(2), fixed.readUInt8(3), fixed.readUInt8(7)]
  const isCloned = (fixed.readUInt32LE(8) & RTM_F_CLONED) !== 0
  if (isCloned || sourceLength !== 0 || typeOfService !== 0) return true
  if (type !== RTN_UNICAST && type !== RTN_UNREACHABLE) return true
  return attributes.bytes(RTA_VIA) !== undefined || attributes.bytes(RTA_ENCAP) !== undefined
}

function encode(route: Route): Buffer {
  const { destination, gateway, source, metric, table } = route
  const fixed = Buffer.alloc(rtmsgBytes)
  fixed.writeUInt8(addressFamilyNumber(familyOf(destination.address)), 0)
  fixed.writeUInt8(destination.prefixLength, 1)
  // Tables above 255 only fit the attribute; the field then holds RT_TABLE_COMPAT.
  fixed.writeUInt8(table < 256 ? table : RT_TABLE_COMPAT, 4)
  fixed.writeUInt8(route.protocol, 5)
  fixed.writeUInt8(scopeNumber[route.scope], 6)
  fixed.writeUInt8(route.type === undefined ? RTN_UNICAST : typeNumber[route.type], 7)
  const writer = new BodyWriter().bytes(fixed)
  if (destination.prefixLength > 0) writer.attribute(RTA_DST, ipToBytes(destination.address))
  writer.u32(RTA_TABLE, table)
  if (route.type !== 'unreachable') writer.u32(RTA_OIF, route.ifindex)
  if (gateway !== undefined) writer.attribute(RTA_GATEWAY, ipToBytes(gateway))
  if (source !== undefined) writer.attribute(RTA_PREFSRC, ipToBytes(source))
  if (metric !== undefined) writer.u32(RTA_PRIORITY, metric)
  return writer.done()
}
