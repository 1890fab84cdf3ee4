import { familyOf, ipToBytes, type Ip, type IpFamily } from '../../base/ip.ts'
import { type Mac, macFromBytes, macToBytes } from '../../base/mac.ts'
import {
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_REPLACE,
  NLM_F_REQUEST,
  RTM_DELNEIGH,
  RTM_GETNEIGH,
  RTM_NEWNEIGH,
} from './constants.ts'
import { addressFamilyNumber, decodeIp, familyFromNumber } from './inet.ts'
import { BodyWriter, type NetlinkRequest, splitBody } from './wire.ts'

// linux/neighbour.h
const NDA_DST = 1
const NDA_LLADDR = 2
const NDA_IFINDEX = 8
const NUD_PERMANENT = 0x80
const ndmsgBytes = 12

/** A permanent entry of the neighbour table: the address is never asked for by ARP. */
export interface Neighbour {
  readonly ifindex: number
  readonly address: Ip
  readonly mac: Mac
}

export function setNeighbour(neighbour: Neighbour): NetlinkRequest {
  const body = encode(neighbour).attribute(NDA_LLADDR, macToBytes(neighbour.mac)).done()
  return { type: RTM_NEWNEIGH, flags: NLM_F_REQUEST | NLM_F_CREATE | NLM_F_REPLACE, body }
}

export function deleteNeighbour(neighbour: Neighbour): NetlinkRequest {
  return { type: RTM_DELNEIGH, flags: NLM_F_REQUEST, body: encode(neighbour).done() }
}

export function dumpNeighbours(family: IpFamily, ifindex?: number): NetlinkRequest {
  const fixed = Buffer.alloc(ndmsgBytes)
  fixed.writeUInt8(addressFamilyNumber(family), 0)
  const writer = new BodyWriter().bytes(fixed)
  if (ifindex !== undefined) writer.u32(NDA_IFINDEX, ifindex)
  return { type: RTM_GETNEIGH, flags: NLM_F_REQUEST | NLM_F_DUMP, body: writer.done() }
}

/** Body of RTM_NEWNEIGH or RTM_DELNEIGH; undefined for learned entries and for those of other families. */
export function decodeNeighbour(body: Buffer): Neighbour | undefined {
  const [fixed, attributes] = splitBody(body, ndmsgBytes)
  const family = familyFromNumber(fixed.readUInt8(0))
  const address = attributes.bytes(NDA_DST)
  const mac = attributes.bytes(NDA_LLADDR)
  if (family === undefined || (fixed.readUInt16LE(8) & NUD_PERMANENT) === 0) return undefined
  if (address === undefined || mac?.length !== 6) return undefined
  return { ifindex: fixed.readInt32LE(4), address: decodeIp(address, family), mac: macFromBytes(mac) }
}

function encode(neighbour: Neighbour): BodyWriter {
  const fixed = Buffer.alloc(ndmsgBytes)
  fixed.writeUInt8(addressFamilyNumber(familyOf(neighbour.address)), 0)
  fixed.writeInt32LE(neighbour.ifindex, 4)
  fixed.writeUInt16LE(NUD_PERMANENT, 8)
  return new BodyWriter().bytes(fixed).attribute(NDA_DST, ipToBytes(neighbour.address))
}
