import type { Brand } from '../base/brand.ts'
import { type Ip, type Ipv4, type Ipv6, ipFromBytes, ipToBytes } from '../base/ip.ts'

/**
 * Bytes of an element's key or value as the kernel holds them, one UTF-16 unit a byte: V8 keeps such a string at one
 * byte a character, it is a Map key, and it compares by value, which no Buffer does.
 */
export type Packed = Brand<string, 'Packed'>

export type Protocol = 'tcp' | 'udp' | 'sctp' | 'icmp' | 'ipv6-icmp'

/** What a component of a key or of a value may be, and what stands for it in TypeScript. */
export interface DatatypeValues {
  readonly ipv4_addr: Ipv4
  readonly ipv6_addr: Ipv6
  readonly inet_proto: Protocol
  readonly inet_service: number
  readonly ifname: string
  readonly mark: number
  /** The result of `numgen`; nft has no name for this type, so that sets with it are declared by `typeof`. */
  readonly random: number
}
export type Datatype = keyof DatatypeValues

export type Values<T extends readonly Datatype[]> = { readonly [K in keyof T]: DatatypeValues[T[K]] }

interface Codec<T> {
  readonly bytes: number
  /** Exactly `bytes` characters. Throws RangeError for what the type cannot hold. */
  readonly pack: (value: T) => string
  /** In nft's syntax. */
  readonly text: (packed: string) => string
}

const protocolNumbers: Readonly<Record<Protocol, number>> = { tcp: 6, udp: 17, sctp: 132, icmp: 1, 'ipv6-icmp': 58 }
const protocolNames = new Map(Object.entries(protocolNumbers).map(([name, number]) => [number, name]))

const ifnameBytes = 16
// As dev_valid_name (net/core/dev.c), without what would end a quoted string of nft or mean a pattern there.
const ifnamePattern = /^[^\s/:"*\\\0]{1,15}$/

// In the machine's byte order, which is little-endian on every machine this runs on.
const hostNumber: Codec<number> = {
  bytes: 4,
  pack: (value) => {
    if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff)
      throw new RangeError(`not a 32-bit number: ${value}`)
    return String.fromCharCode(value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24)
  },
  text: (packed) => String(Buffer.from(packed, 'latin1').readUInt32LE(0)),
}

const address = (bytes: number): Codec<Ip> => ({
  bytes,
  pack: (value) => {
    const packed = ipToBytes(value).toString('latin1')
    if (packed.length !== bytes) throw new RangeError(`${value} is not an address of ${bytes} bytes`)
    return packed
  },
  text: (packed) => ipFromBytes(Buffer.from(packed, 'latin1')),
})

export const codecs: { readonly [T in Datatype]: Codec<DatatypeValues[T]> } = {
  ipv4_addr: {
    bytes: 4,
    pack: packIpv4,
    text: (packed) => [0, 1, 2, 3].map((index) => packed.charCodeAt(index)).join('.'),
  },
  ipv6_addr: address(16),
  inet_proto: {
    bytes: 1,
    pack: (value) => String.fromCharCode(protocolNumbers[value]),
    text: (packed) => protocolNames.get(packed.charCodeAt(0)) ?? String(packed.charCodeAt(0)),
  },
  inet_service: {
    bytes: 2,
    pack: (value) => {
      if (!Number.isInteger(value) || value < 0 || value > 0xffff) throw new RangeError(`not a port: ${value}`)
      return String.fromCharCode(value >>> 8, value & 255)
    },
    text: (packed) => String(packed.charCodeAt(0) * 256 + packed.charCodeAt(1)),
  },
  ifname: {
    bytes: ifnameBytes,
    pack: (value) => {
      if (!ifnamePattern.test(value)) throw new RangeError(`${JSON.stringify(value)} is not the name of an interface`)
      const packed = Buffer.from(value).toString('latin1')
      if (packed.length >= ifnameBytes) throw new RangeError(`${JSON.stringify(value)} is too long for an interface`)
      return packed.padEnd(ifnameBytes, '\0')
    },
    text: (packed) => `"${Buffer.from(packed, 'latin1').toString('utf8').replace(/\0+$/, '')}"`,
  },
  mark: hostNumber,
  random: hostNumber,
}

/**
 * What makes the bytes of keys or values of one type. In a concatenation every component takes whole registers of
 * four bytes (net/netfilter/nf_tables_api.c); a single one stands as it is.
 */
export function packerOf<const T extends readonly Datatype[]>(types: T): (...values: Values<T>) => Packed {
  const parts = types.map((type) => ({ packOne: packValue(type), padding: paddingOf(type, types.length) }))
  return (...values) => {
    let packed = ''
    for (let index = 0; index < parts.length; index++) {
      const part = parts[index]
      if (part !== undefined) packed += part.packOne(values[index]) + part.padding
    }
    return packed as Packed
  }
}

export function pack<const T extends readonly Datatype[]>(types: T, values: Values<T>): Packed {
  return packerOf(types)(...values)
}

/** An element of a set with `interval`: from the first of each component to its last, both included. */
export function packRange<const T extends readonly Datatype[]>(types: T, first: Values<T>, last: Values<T>): Packed {
  return (pack(types, first) + pack(types, last)) as Packed
}

export function packedBytes(types: readonly Datatype[]): number {
  return types.reduce((sum, type) => sum + codecs[type].bytes + paddingOf(type, types.length).length, 0)
}

/** Bytes from the kernel, if they are of this type. */
export function parsePacked(types: readonly Datatype[], bytes: string): Packed | undefined {
  return bytes.length === packedBytes(types) ? (bytes as Packed) : undefined
}

/** Components in nft's syntax. Throws when the length is not that of the types. */
export function unpackTexts(types: readonly Datatype[], packed: string): readonly string[] {
  if (packed.length !== packedBytes(types)) {
    throw new RangeError(`${packed.length} bytes where ${types.join(' . ')} has ${packedBytes(types)}`)
  }
  let offset = 0
  return types.map((type) => {
    const text = codecs[type].text(packed.slice(offset, offset + codecs[type].bytes))
    offset += codecs[type].bytes + paddingOf(type, types.length).length
    return text
  })
}

// The types of values are those of the components, by `Values`; here they have lost sight of each other.
function packValue(type: Datatype): (value: unknown) => string {
  return codecs[type].pack as (value: unknown) => string
}

const paddings = ['', '\0\0\0', '\0\0', '\0'] as const

function paddingOf(type: Datatype, componentCount: number): string {
  return componentCount === 1 ? '' : (paddings[codecs[type].bytes & 3] ?? '')
}

// The hot one: tens of thousands of addresses in one load.
function packIpv4(value: Ipv4): string {
  let packed = ''
  let octet = 0
  for (let index = 0; index < value.length; index++) {
    const code = value.charCodeAt(index)
    if (code === 46) {
      packed += String.fromCharCode(octet)
      octet = 0
    } else octet = octet * 10 + code - 48
  }
  packed += String.fromCharCode(octet)
  if (packed.length !== 4) throw new RangeError(`${value} is not an IPv4 address`)
  return packed
}
