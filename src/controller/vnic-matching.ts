import type { CloudVnic } from '../oci/core-services.ts'
import type { VnicWish, VnicWishes } from './node-wish.ts'
import type { NodeObservation, ObservedVnic } from './observation.ts'

export interface VnicPair {
  readonly vnic: ObservedVnic
  readonly wish: VnicWish
}

/**
 * Which VNIC answers which wish, and the wishes that none answers yet. Every VNIC of ours is used, wished for or not.
 * In whatever order the cloud lists them, as many wishes as possible are answered, and no VNIC is given to a wish that
 * would change it while it is right for another one.
 */
export function matchVnics(
  wishes: VnicWishes,
  { vnics }: Pick<NodeObservation, 'vnics'>,
): { readonly pairs: readonly VnicPair[]; readonly missing: readonly VnicWish[] } {
  if (wishes.kind === 'asNeeded') return { pairs: vnics.map((vnic) => ({ vnic, wish: wishes.template })), missing: [] }
  const given = assign(wishes.list, vnics)
  const wished = new Map([...given].map(([vnic, wish]) => [wish, vnic]))
  const pairs = wishes.list.flatMap((wish) => {
    const vnic = wished.get(wish)
    return vnic === undefined ? [] : [{ vnic, wish }]
  })
  const missing = wishes.list.filter((wish) => !wished.has(wish))
  // One that was wished for once: it stays as it is, with what it has, until its addresses are given back.
  const extra = vnics.filter((vnic) => !given.has(vnic)).map((vnic) => ({ vnic, wish: asItIs(vnic) }))
  return { pairs: [...pairs, ...extra], missing }
}

export function isAsWished({ skipSourceDestCheck, nsgIds }: CloudVnic, wish: VnicWish): boolean {
  const groups = new Set(nsgIds)
  const wished = new Set(wish.nsgIds)
  return skipSourceDestCheck === wish.skipSourceDestCheck && groups.symmetricDifference(wished).size === 0
}

/** First those that fit as they are; then along augmenting paths (Kuhn’s algorithm): whose VNIC goes to another wish gets another VNIC. */
function assign(wishes: readonly VnicWish[], vnics: readonly ObservedVnic[]): ReadonlyMap<ObservedVnic, VnicWish> {
  const given = new Map<ObservedVnic, VnicWish>()
  for (const wish of wishes) {
    const fitting = vnics.find((one) => !given.has(one) && answers(one, wish) && isAsWished(one.vnic, wish))
    if (fitting !== undefined) given.set(fitting, wish)
  }
  const give = (wish: VnicWish, tried: Set<ObservedVnic>): boolean =>
    vnics.some((one) => {
      if (tried.has(one) || !answers(one, wish)) return false
      tried.add(one)
      const holder = given.get(one)
      if (holder !== undefined && !give(holder, tried)) return false
      given.set(one, wish)
      return true
    })
  const answered = new Set(given.values())
  for (const wish of wishes) if (!answered.has(wish)) give(wish, new Set())
  return given
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
  return { subnetIds: [subnet.id], nsgIds, skipSourceDestCheck, objects: objects.length, addresses: Infinity, tags }
}
