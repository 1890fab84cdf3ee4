import { isIPv6 } from 'node:net'
import { type Cidr, parseIpv4Cidr } from '../base/cidr.ts'
import { type Ip, ipFromBytes, ipToBytes, type Ipv4, type Ipv6, ipv4ToNumber, isIpv4, parseIpv4 } from '../base/ip.ts'
import { err, ok, type Result } from '../base/result.ts'

/**
 * An address that packets may be sent to, of either family: of a Service, or of an endpoint. Loopback, link-local, multicast and
 * unspecified ones are refused, as API servers do (validation's «non-special IP»): in a NAT table they would take over the
 * node's own traffic, 169.254.169.254 the instance metadata.
 */
export function parseServiceAddress(text: string): Result<Ip, string> {
  const address = parseAddress(text)
  if (!address.ok) return address
  const special = isIpv4(address.value) ? specialIpv4(address.value) : specialIpv6(address.value)
  if (special === undefined) return address
  return err(`${JSON.stringify(text)} is ${special}; it must be an address that pods and nodes can be sent to`)
}

/** A block of either family. Host bits are cleared: API servers accept 10.0.4.7/24 for a source range. */
export function parseSourceRange(text: string): Result<Cidr, string> {
  const trimmed = text.trim()
  const [addressText = '', lengthText = '', ...rest] = trimmed.split('/')
  const address = parseAddress(addressText)
  const isLength = /^(?:0|[1-9]\d{0,2})$/.test(lengthText)
  const prefixLength = Number(lengthText)
  if (!address.ok || !isLength || rest.length > 0 || prefixLength > (isIpv4(address.value) ? 32 : 128))
    return err(`${JSON.stringify(text)} is not a block of addresses such as 203.0.113.0/24`)
  const bytes = ipToBytes(address.value).map((byte, index) => byte & byteMask(prefixLength - 8 * index))
  const first = ipFromBytes(bytes)
  return isIpv4(first) ? parseIpv4Cidr(`${first}/${prefixLength}`) : ok({ address: first, prefixLength })
}

function parseAddress(text: string): Result<Ip, string> {
  const ipv4 = parseIpv4(text)
  if (ipv4.ok) return ipv4
  if (!isIPv6(text) || text.includes('%')) return err(`${JSON.stringify(text)} is not an IP address`)
  // The URL parser writes RFC 5952's canonical text, of addresses with an IPv4 tail too.
  return ok(new URL(`http://[${text}]`).hostname.slice(1, -1) as Ipv6)
}

function specialIpv4(address: Ipv4): string | undefined {
  const number = ipv4ToNumber(address)
  const firstOctet = number >>> 24
  if (firstOctet === 0) return 'unspecified'
  if (firstOctet === 127) return 'loopback'
  if (number >>> 16 === 0xa9fe) return 'link-local'
  return firstOctet >= 224 ? 'multicast or reserved' : undefined
}

function specialIpv6(address: Ip): string | undefined {
  if (address === '::') return 'unspecified'
  if (address === '::1') return 'loopback'
  if (/^fe[89ab]/.test(address)) return 'link-local'
  return address.startsWith('ff') ? 'multicast' : undefined
}

function byteMask(bits: number): number {
  return bits >= 8 ? 255 : bits <= 0 ? 0 : 256 - 2 ** (8 - bits)
}
