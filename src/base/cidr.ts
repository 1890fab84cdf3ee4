import { type Ip, type Ipv4, isIpv4, ipv4FromNumber, ipv4ToNumber, parseIpv4, familyOf } from './ip.ts'
import { err, ok, type Result } from './result.ts'

/** A block of addresses; `address` is its first one (host bits are zero). */
export interface Cidr<A extends Ip = Ip> {
  readonly address: A
  readonly prefixLength: number
}
export type Ipv4Cidr = Cidr<Ipv4>

export function parseIpv4Cidr(text: string): Result<Ipv4Cidr, string> {
  const expected = `${JSON.stringify(text)} is not an IPv4 block such as 10.0.4.0/24`
  const [addressText = '', lengthText = '', ...rest] = text.split('/')
  const address = parseIpv4(addressText)
  if (!address.ok || rest.length > 0 || !/^(?:0|[1-9]\d?)$/.test(lengthText) || Number(lengthText) > 32)
    return err(expected)
  const prefixLength = Number(lengthText)
  const first = ipv4FromNumber(networkNumber(ipv4ToNumber(address.value), prefixLength))
  if (first !== address.value)
    return err(`${JSON.stringify(text)} has host bits set; the block is ${first}/${lengthText}`)
  return ok({ address: first, prefixLength })
}

export function formatCidr(cidr: Cidr): string {
  return `${cidr.address}/${cidr.prefixLength}`
}

/** The block of one address: /32 or /128. */
export function hostCidr<A extends Ip>(address: A): Cidr<A> {
  return { address, prefixLength: familyOf(address) === 4 ? 32 : 128 }
}

export function cidrContains(cidr: Ipv4Cidr, address: Ipv4): boolean {
  return networkNumber(ipv4ToNumber(address), cidr.prefixLength) === ipv4ToNumber(cidr.address)
}

export function cidrSize(cidr: Ipv4Cidr): number {
  return 2 ** (32 - cidr.prefixLength)
}

/** Every address of the block, in order. */
export function cidrAddresses(cidr: Ipv4Cidr): readonly Ipv4[] {
  const first = ipv4ToNumber(cidr.address)
  return Array.from({ length: cidrSize(cidr) }, (_, index) => ipv4FromNumber(first + index))
}

export function lastAddress(cidr: Ipv4Cidr): Ipv4 {
  return ipv4FromNumber(ipv4ToNumber(cidr.address) + cidrSize(cidr) - 1)
}

export function isIpv4Cidr(cidr: Cidr): cidr is Ipv4Cidr {
  return isIpv4(cidr.address)
}

export function cidrsOverlap(a: Ipv4Cidr, b: Ipv4Cidr): boolean {
  return a.prefixLength <= b.prefixLength ? cidrContains(a, b.address) : cidrContains(b, a.address)
}

/** The same addresses, each in one block only, in order: blocks either lie in one another or do not touch. */
export function disjointBlocks(blocks: readonly Ipv4Cidr[]): readonly Ipv4Cidr[] {
  const byStart = blocks
    .map((block) => ({ block, first: ipv4ToNumber(block.address) }))
    .sort((a, b) => a.first - b.first || a.block.prefixLength - b.block.prefixLength)
  const kept: Ipv4Cidr[] = []
  let end = 0
  for (const { block, first } of byStart) {
    if (first < end) continue
    kept.push(block)
    end = first + cidrSize(block)
  }
  return kept
}

/** The two halves of a block; a host block has none. */
export function splitCidr(cidr: Ipv4Cidr): readonly [Ipv4Cidr, Ipv4Cidr] {
  if (cidr.prefixLength >= 32) throw new RangeError(`${formatCidr(cidr)} cannot be split`)
  const prefixLength = cidr.prefixLength + 1
  const first = ipv4ToNumber(cidr.address)
  return [
    { address: cidr.address, prefixLength },
    { address: ipv4FromNumber(first + 2 ** (32 - prefixLength)), prefixLength },
  ]
}

function networkNumber(value: number, prefixLength: number): number {
  const size = 2 ** (32 - prefixLength)
  return Math.floor(value / size) * size
}
