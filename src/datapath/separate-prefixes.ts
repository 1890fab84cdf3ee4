import { cidrContains, formatCidr, type Ipv4Cidr, splitCidr } from '../base/cidr.ts'
import type { Ipv4 } from '../base/ip.ts'

export interface OwnedAddress<Owner> {
  readonly address: Ipv4
  readonly owner: Owner
}

export interface OwnedPrefix<Owner> {
  readonly prefix: Ipv4Cidr
  readonly owner: Owner
}

/**
 * The fewest disjoint blocks of a subnet that separate the addresses of different owners.
 *
 * A block may cover addresses that nobody here owns: they never occur as a source on this node, but for packets that it
 * translates (the agent's reply-table.ts). One owner needs one block, the subnet. Overlapping blocks in longest-first order
 * could be fewer, but only disjoint ones may be exchanged one by one while packets flow: every old and every new block says
 * the same of every address.
 */
export function separatePrefixes<Owner>(
  subnet: Ipv4Cidr,
  addresses: readonly OwnedAddress<Owner>[],
): readonly OwnedPrefix<Owner>[] {
  const [first, ...others] = addresses
  if (first === undefined) return []
  if (others.every(({ owner }) => owner === first.owner)) return [{ prefix: subnet, owner: first.owner }]
  if (subnet.prefixLength === 32) throw new Error(`${formatCidr(subnet)} has two owners`)
  return splitCidr(subnet).flatMap((half) =>
    separatePrefixes(
      half,
      addresses.filter(({ address }) => cidrContains(half, address)),
    ),
  )
}
