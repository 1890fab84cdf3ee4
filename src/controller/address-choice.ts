import { cidrSize, type Ipv4Cidr } from '../base/cidr.ts'
import { type Ipv4, ipv4FromNumber, ipv4ToNumber } from '../base/ip.ts'

export interface ChoiceInput {
  readonly cidrs: readonly Ipv4Cidr[]
  /** Taken by anybody, by number. */
  readonly taken: Pick<ReadonlySet<number>, 'has'>
  /** Of the VNIC that gets the new ones. */
  readonly own: readonly Ipv4[]
  /** Of the node's other VNICs in this subnet. */
  readonly siblings: readonly Ipv4[]
  readonly count: number
}

/** As many addresses as a VNIC takes single objects: a VNIC that is full of them fills one region. */
const regionSize = 64

interface Region {
  readonly free: readonly number[]
  readonly own: number
  readonly siblings: number
}

/**
 * Chooses addresses so that the VNICs of a node keep to aligned regions of their own: the node then needs one source
 * rule a region, and not one an address (docs/decisions/0002). Fewer than asked for when the subnet has no more.
 */
export function chooseAddresses(input: ChoiceInput): readonly Ipv4[] {
  const own = numbersOf(input.own)
  const siblings = numbersOf(input.siblings)
  const regions = input.cidrs.flatMap((cidr) => regionsOf(cidr, input.taken, own, siblings))
  const usable = regions.filter(({ free }) => free.length > 0).toSorted(byPreference)
  return usable
    .flatMap(({ free }) => free)
    .slice(0, input.count)
    .map(ipv4FromNumber)
}

// Where the VNIC is already; never where a sibling is, if that can be helped; then where most is free.
function byPreference(a: Region, b: Region): number {
  if (a.own > 0 !== b.own > 0) return a.own > 0 ? -1 : 1
  if (a.siblings > 0 !== b.siblings > 0) return a.siblings > 0 ? 1 : -1
  return b.free.length - a.free.length
}

function regionsOf(
  cidr: Ipv4Cidr,
  taken: Pick<ReadonlySet<number>, 'has'>,
  own: ReadonlySet<number>,
  siblings: ReadonlySet<number>,
): readonly Region[] {
  const first = ipv4ToNumber(cidr.address)
  const size = cidrSize(cidr)
  // The first two addresses of a subnet and its last one are the VCN's own (reference: OCI limits).
  const [least, most] = [first + 2, first + size - 2]
  const regions: Region[] = []
  for (let start = first; start < first + size; start += regionSize) {
    const all = Array.from({ length: Math.min(regionSize, first + size - start) }, (_, index) => start + index)
    regions.push({
      free: all.filter((number) => number >= least && number <= most && !taken.has(number)),
      own: all.filter((number) => own.has(number)).length,
      siblings: all.filter((number) => siblings.has(number)).length,
    })
  }
  return regions
}

function numbersOf(addresses: readonly Ipv4[]): ReadonlySet<number> {
  return new Set(addresses.map((address) => ipv4ToNumber(address)))
}
