import { cidrContains, cidrsOverlap, formatCidr, type Ipv4Cidr, splitCidr } from '../base/cidr.ts'
import { ipv4ToNumber } from '../base/ip.ts'

/** What is left of a block, in order. */
export function blockWithout(block: Ipv4Cidr, except: readonly Ipv4Cidr[]): readonly Ipv4Cidr[] {
  const relevant = except.filter((one) => cidrsOverlap(one, block))
  if (relevant.length === 0) return [block]
  if (relevant.some((one) => contains(one, block))) return []
  return splitCidr(block).flatMap((half) => blockWithout(half, relevant))
}

/** The same addresses, each in one block only, in order: blocks either lie in one another or do not touch. */
export function disjointBlocks(blocks: readonly Ipv4Cidr[]): readonly Ipv4Cidr[] {
  const kept: Ipv4Cidr[] = []
  for (const block of [...blocks].sort(byFirstThenWidest)) {
    const last = kept.at(-1)
    if (last === undefined || !contains(last, block)) kept.push(block)
  }
  return kept
}

export function blocksText(blocks: readonly Ipv4Cidr[]): string {
  return blocks.map(formatCidr).join(', ')
}

function contains(outer: Ipv4Cidr, inner: Ipv4Cidr): boolean {
  return outer.prefixLength <= inner.prefixLength && cidrContains(outer, inner.address)
}

function byFirstThenWidest(a: Ipv4Cidr, b: Ipv4Cidr): number {
  return ipv4ToNumber(a.address) - ipv4ToNumber(b.address) || a.prefixLength - b.prefixLength
}
