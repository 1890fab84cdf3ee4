import { type Cidr } from '../../base/cidr.ts'
import { familyOf, ipToBytes, type IpFamily } from '../../base/ip.ts'
import {
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  NLM_F_REQUEST,
  RTM_DELADDR,
  RTM_GETADDR,
  RTM_NEWADDR,
} from './constants.ts'
import { addressFamilyNumber, decodeBlock, familyFromNumber } from './inet.ts'
import { BodyWriter, MalformedNetlink, type NetlinkRequest, splitBody } from './wire.ts'

// linux/if_addr.h
const IFA_ADDRESS = 1
const IFA_LOCAL = 2
const IFA_FLAGS = 8
const IFA_F_NOPREFIXROUTE = 0x200
const ifaddrmsgBytes = 8

/** Values of linux/rtnetlink.h, enum rt_scope_t. */
export const scopeNumber = { global: 0, link: 253, host: 254, nowhere: 255 } as const
export type Scope = keyof typeof scopeNumber

const scopeNames = new Map<number, Scope>([
  [0, 'global'],
  [253, 'link'],
  [254, 'host'],
  [255, 'nowhere'],
])

/** Site scope and others that we never set read as global. */
export function scopeFromNumber(value: number): Scope {
  return scopeNames.get(value) ?? 'global'
}

/** An address of an interface. `cidr.address` is the interface's own address: host bits may be set here. */
export interface InterfaceAddress {
  readonly ifindex: number
  readonly cidr: Cidr
  readonly scope: Scope
  /** Without it the kernel adds a route for the prefix by itself. */
  readonly noPrefixRoute?: boolean
}

export function addAddress(address: InterfaceAddress): NetlinkRequest {
  return { type: RTM_NEWADDR, flags: NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL, body: encode(address) }
}

export function deleteAddress(address: InterfaceAddress): NetlinkRequest {
  return { type: RTM_DELADDR, flags: NLM_F_REQUEST, body: encode(address) }
}

/**
 * With an ifindex only that interface's addresses: strict checking on the socket makes the kernel filter. It refuses the
 * dump (ENODEV) when the interface is gone.
 */
export function dumpAddresses(family: IpFamily, ifindex = 0): NetlinkRequest {
  const fixed = Buffer.alloc(ifaddrmsgBytes)
  fixed.writeUInt8(addressFamilyNumber(family), 0)
  fixed.writeUInt32LE(ifindex, 4)
  return { type: RTM_GETADDR, flags: NLM_F_REQUEST | NLM_F_DUMP, body: fixed }
}

/** Body of RTM_NEWADDR or RTM_DELADDR. */
export function decodeAddress(body: Buffer): InterfaceAddress {
  const [fixed, attributes] = splitBody(body, ifaddrmsgBytes)
  const family = familyFromNumber(fixed.readUInt8(0))
  if (family === undefined) throw new MalformedNetlink(`an address of family ${fixed.readUInt8(0)}`)
  const own = attributes.bytes(IFA_LOCAL) ?? attributes.bytes(IFA_ADDRESS)
  const flags = attributes.u32(IFA_FLAGS) ?? fixed.readUInt8(2)
  return {
    ifindex: fixed.readUInt32LE(4),
    cidr: decodeBlock(own, fixed.readUInt8(1), family),
    scope: scopeFromNumber(fixed.readUInt8(3)),
    ...((flags & IFA_F_NOPREFIXROUTE) !== 0 && { noPrefixRoute: true }),
  }
}

function encode(address: InterfaceAddress): Buffer {
  const { cidr, ifindex, scope } = address
  const fixed = Buffer.alloc(ifaddrmsgBytes)
  fixed.writeUInt8(addressFamilyNumber(familyOf(cidr.address)), 0)
  fixed.writeUInt8(cidr.prefixLength, 1)
  fixed.writeUInt8(scopeNumber[scope], 3)
  fixed.writeUInt32LE(ifindex, 4)
  const bytes = ipToBytes(cidr.address)
  const writer = new BodyWriter().bytes(fixed).attribute(IFA_LOCAL, bytes).attribute(IFA_ADDRESS, bytes)
  if (address.noPrefixRoute === true) writer.u32(IFA_FLAGS, IFA_F_NOPREFIXROUTE)
  return writer.done()
}
