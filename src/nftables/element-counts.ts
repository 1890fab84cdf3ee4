import type { RawCount } from '../linux/netlink/nftables/objects.ts'
import { type Datatype, type Packed, parsePacked } from './datatype.ts'

/** How many packets met an element of a `counted` set, and how many bytes they had. Exact up to 2^53. */
export interface ElementCount {
  readonly key: Packed
  readonly packets: number
  readonly bytes: number
}

/** Those whose keys are of the type; somebody else may have put another set in place. */
export function countsOf(types: readonly Datatype[], counts: readonly RawCount[]): readonly ElementCount[] {
  return counts.flatMap(({ key, packets, bytes }) => {
    const packed = parsePacked(types, key)
    return packed === undefined ? [] : [{ key: packed, packets, bytes }]
  })
}
