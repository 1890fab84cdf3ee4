import type { Cidr } from '../../base/cidr.ts'
import { ipFromBytes, type Ip, type IpFamily } from '../../base/ip.ts'
import { AF_INET, AF_INET6 } from './constants.ts'
import { MalformedNetlink } from './wire.ts'

// Addresses as they stand in messages: bare bytes whose family is in the message's fixed part, and prefix lengths
// apart from them.

const addressBytes: Readonly<Record<IpFamily, number>> = { 4: 4, 6: 16 }

export function addressFamilyNumber(family: IpFamily): number {
  return family === 4 ? AF_INET : AF_INET6
}

/** Undefined for the families that share message types with IP: bridge ports, multicast routing, MPLS. */
export function familyFromNumber(value: number): IpFamily | undefined {
  if (value === AF_INET) return 4
  return value === AF_INET6 ? 6 : undefined
}

export function decodeIp(bytes: Uint8Array, family: IpFamily): Ip {
  if (bytes.length !== addressBytes[family]) {
    throw new MalformedNetlink(`an IPv${family} address has ${bytes.length} bytes, not ${addressBytes[family]}`)
  }
  return ipFromBytes(bytes)
}

/** Absent bytes are the all-zero address: the kernel leaves that attribute out. */
export function decodeBlock(bytes: Uint8Array | undefined, prefixLength: number, family: IpFamily): Cidr {
  if (prefixLength > addressBytes[family] * 8) {
    throw new MalformedNetlink(`an IPv${family} prefix of ${prefixLength} bits`)
  }
  return { address: decodeIp(bytes ?? new Uint8Array(addressBytes[family]), family), prefixLength }
}
