import { type Attributes, BodyWriter, MalformedNetlink, splitBody } from './wire.ts'

// What nf_tables and ctnetlink have in common (linux/netfilter/nfnetlink.h). Integers in attributes are in network order.

/** linux/netlink.h */
export const NETLINK_NETFILTER = 12
/** linux/netlink.h: ctnetlink and nf_tables want nested attributes marked. */
export const NLA_F_NESTED = 0x8000
/** struct nfgenmsg */
export const nfgenmsgBytes = 4

/** struct nfgenmsg: family (AF_*), version, resource. */
export function nfgenmsg(family: number): BodyWriter {
  return new BodyWriter().bytes(Uint8Array.of(family, 0, 0, 0))
}

export function splitNfgenmsg(body: Buffer): readonly [family: number, attributes: Attributes] {
  const [fixed, attributes] = splitBody(body, nfgenmsgBytes)
  return [fixed.readUInt8(0), attributes]
}

export function u16Of(attributes: Attributes, type: number): number | undefined {
  return sized(attributes, type, 2)?.readUInt16BE(0)
}

export function u32Of(attributes: Attributes, type: number): number | undefined {
  return sized(attributes, type, 4)?.readUInt32BE(0)
}

export function u16Bytes(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16BE(value)
  return bytes
}

export function u32Bytes(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

function sized(attributes: Attributes, type: number, bytes: number): Buffer | undefined {
  const value = attributes.bytes(type)
  if (value !== undefined && value.length < bytes) {
    throw new MalformedNetlink(`attribute ${type} has ${value.length} bytes, not ${bytes}`)
  }
  return value
}
