import type { Brand } from './brand.ts'
import { err, ok, type Result } from './result.ts'

/** Canonical text of an address. The family is in the type; `familyOf` tells it at run time. */
export type Ipv4 = Brand<string, 'Ipv4'>
export type Ipv6 = Brand<string, 'Ipv6'>
export type Ip = Ipv4 | Ipv6
export type IpFamily = 4 | 6

const decimalOctet = /^(?:0|[1-9]\d{0,2})$/

export function parseIpv4(text: string): Result<Ipv4, string> {
  const parts = text.split('.')
  if (parts.length !== 4 || !parts.every((part) => decimalOctet.test(part) && Number(part) <= 255)) {
    return err(`${JSON.stringify(text)} is not an IPv4 address (four numbers from 0 to 255, no leading zeros)`)
  }
  return ok(text as Ipv4)
}

export function familyOf(address: Ip): IpFamily {
  return address.includes(':') ? 6 : 4
}

export function isIpv4(address: Ip): address is Ipv4 {
  return familyOf(address) === 4
}

/** The address as an unsigned 32-bit number: arithmetic on IPv4 only happens through this and its inverse. */
export function ipv4ToNumber(address: Ipv4): number {
  let value = 0
  for (const part of address.split('.')) value = value * 256 + Number(part)
  return value
}

export function ipv4FromNumber(value: number): Ipv4 {
  if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff) throw new RangeError(`not an IPv4 number: ${value}`)
  return `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}` as Ipv4
}

/** Network byte order: 4 bytes or 16. */
export function ipToBytes(address: Ip): Buffer {
  if (familyOf(address) === 4) return Buffer.from(address.split('.').map(Number))
  return ipv6ToBytes(address)
}

export function ipFromBytes(bytes: Uint8Array): Ip {
  if (bytes.length === 4) return `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}` as Ipv4
  if (bytes.length === 16) return ipv6FromBytes(bytes)
  throw new RangeError(`an address has 4 or 16 bytes, not ${bytes.length}`)
}

function ipv6ToBytes(address: string): Buffer {
  const [head = '', tail] = address.split('::')
  const groups = (text: string | undefined): number[] =>
    text === undefined || text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16))
  const left = groups(head)
  const right = groups(tail)
  const bytes = Buffer.alloc(16)
  left.forEach((group, index) => bytes.writeUInt16BE(group, index * 2))
  right.forEach((group, index) => bytes.writeUInt16BE(group, (8 - right.length + index) * 2))
  return bytes
}

/** RFC 5952 section 4: lower case, no leading zeros, the longest run of zero groups as `::`. */
function ipv6FromBytes(bytes: Uint8Array): Ipv6 {
  const view = Buffer.from(bytes)
  const groups = Array.from({ length: 8 }, (_, index) => view.readUInt16BE(index * 2).toString(16))
  let best = { start: -1, length: 1 }
  for (let start = 0; start < 8; start++) {
    let length = 0
    while (start + length < 8 && groups[start + length] === '0') length++
    if (length > best.length) best = { start, length }
  }
  if (best.start < 0) return groups.join(':') as Ipv6
  return `${groups.slice(0, best.start).join(':')}::${groups.slice(best.start + best.length).join(':')}` as Ipv6
}
