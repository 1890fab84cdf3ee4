import type { VnicWish, VnicWishes } from './node-wish.ts'
import type { NodeObservation, ObservedVnic } from './observation.ts'

export interface VnicPair {
  readonly vnic: ObservedVnic
  readonly wish: VnicWish
}

/** Which VNIC answers which wish, and the wishes that none answers yet. Every VNIC of ours is used, wished for or not. */
export function matchVnics(
  wishes: VnicWishes,
  { vnics }: Pick<NodeObservation, 'vnics'>,
): { readonly pairs: readonly VnicPair[]; readonly missing: readonly VnicWish[] } {
  if (wishes.kind === 'asNeeded') return { pairs: vnics.map((vnic) => ({ vnic, wish: wishes.template })), missing: [] }
  const free = [...vnics]
  const missing: VnicWish[] = []
  const pairs: VnicPair[] = []
  for (const wish of wishes.list) {
    const at = free.findIndex((vnic) => answers(vnic, wish))
    const [vnic] = at < 0 ? [] : free.splice(at, 1)
    if (vnic === undefined) missing.push(wish)
    else pairs.push({ vnic, wish })
  }
  // One that was wished for once: it stays as it is, with what it has, until its addresses are given back.
  const extra = free.map((vnic) => ({ vnic, wish: asItIs(vnic) }))
  return { pairs: [...pairs, ...extra], missing }
}

function answers({ vnic, subnet, attachment }: ObservedVnic, wish: VnicWish): boolean {
  return (
    wish.subnetIds.includes(subnet.id) &&
    (wish.displayName === undefined || wish.displayName === vnic.displayName) &&
    (wish.nicIndex === undefined || wish.nicIndex === attachment.nicIndex)
  )
}

function asItIs({ vnic, subnet, objects }: ObservedVnic): VnicWish {
  const { nsgIds, skipSourceDestCheck, tags } = vnic
  return { subnetIds: [subnet.id], nsgIds, skipSourceDestCheck, objects: objects.length, tags }
}
