import { cidrContains, cidrsOverlap, formatCidr, type Ipv4Cidr, splitCidr } from '../base/cidr.ts'

/** What is left of a block, in order. */
export function blockWithout(block: Ipv4Cidr, except: readonly Ipv4Cidr[]): readonly Ipv4Cidr[] {
  const relevant = except.filter((one) => cidrsOverlap(one, block))
  if (relevant.length === 0) return [block]
  if (relevant.some((one) => contains(one, block))) return []
  return splitCidr(block).flatMap((half) => blockWithout(half, relevant))
}

export function blocksText(blocks: readonly Ipv4Cidr[]): string {
  return blocks.map(formatCidr).join(', ')
}

function contains(outer: Ipv4Cidr, inner: Ipv4Cidr): boolean {
  return outer.prefixLength <= inner.prefixLength && cidrContains(outer, inner.address)
}
