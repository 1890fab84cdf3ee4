import type { Cidr } from '../base/cidr.ts'
import { type Ip, ipFromBytes, ipToBytes, type IpFamily, familyOf } from '../base/ip.ts'

/** From the first address of a block to its last, both included. */
export interface BlockSpan {
  readonly first: Ip
  readonly last: Ip
}

/** The blocks of one family without those that lie in another: blocks never overlap in any other way. */
export function disjointSpans(blocks: readonly Cidr[], family: IpFamily): readonly BlockSpan[] {
  const spans = blocks
    .filter(({ address }) => familyOf(address) === family)
    .map((block) => ({ first: ipToBytes(block.address), last: lastBytes(block) }))
    .sort((a, b) => a.first.compare(b.first) || b.last.compare(a.last))
  const disjoint: (typeof spans)[number][] = []
  for (const span of spans) {
    const previous = disjoint.at(-1)
    if (previous === undefined || span.first.compare(previous.last) > 0) disjoint.push(span)
  }
  return disjoint.map(({ first, last }) => ({ first: ipFromBytes(first), last: ipFromBytes(last) }))
}

function lastBytes({ address, prefixLength }: Cidr): Buffer {
  const bytes = ipToBytes(address)
  for (const [index, byte] of bytes.entries()) {
    const fixedBits = Math.min(Math.max(prefixLength - 8 * index, 0), 8)
    bytes[index] = byte | (255 >> fixedBits)
  }
  return bytes
}
