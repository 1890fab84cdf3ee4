import type { AddressRelease } from '../kube/native-pod-network-status.ts'
import type { PrivateIp } from '../oci/core-services.ts'
import type { SubnetOcid, VnicOcid } from '../oci/ocid.ts'
import type { NodeWish, VnicWish } from './node-wish.ts'
import { addressCount, isBeingModified, type NodeObservation, type ObservedVnic } from './observation.ts'
import { planReleases } from './release-plan.ts'
import { isAsWished, matchVnics, type VnicPair } from './vnic-matching.ts'

/** Everything that decides what a node gets next; the plan looks at nothing else. */
export interface PlanInput {
  readonly wish: NodeWish
  readonly observed: NodeObservation
  readonly demand: Demand
  readonly releases: readonly AddressRelease[]
  readonly reluctant: ReadonlySet<PrivateIp['id']>
  readonly mayMark: boolean
  readonly limits: KnownLimits
}

export interface Demand {
  /** Pods' addresses and those that still cool down, as the agent reports. */
  readonly used: number
  /** Pods of the node that have or need an address, as Kubernetes knows them. */
  readonly pods: number
  readonly podAddresses: ReadonlySet<string>
}

/** What the cloud refused lately. */
export interface KnownLimits {
  readonly subnetsWithoutBlocks: ReadonlySet<SubnetOcid>
  readonly subnetsWithoutAddresses: ReadonlySet<SubnetOcid>
  readonly fullVnics: ReadonlySet<VnicOcid>
  /** The instance was refused another VNIC. */
  readonly instanceFull: boolean
}

export interface NodePlan {
  /** Addresses the node shall hold, and holds without those that are leaving. */
  readonly wanted: number
  readonly available: number
  readonly releases: readonly AddressRelease[]
  /** May be done at the same time; afterwards the node is planned anew. */
  readonly steps: readonly Step[]
  /** Why the node does not get what it wants, when no step leads there. */
  readonly obstacle?: Obstacle
}

export type Step =
  | { readonly kind: 'attach'; readonly subnetId: SubnetOcid; readonly wish: VnicWish; readonly ordinal: number }
  | { readonly kind: 'awaitAttachment' }
  | { readonly kind: 'updateVnic'; readonly vnic: ObservedVnic; readonly wish: VnicWish }
  | { readonly kind: 'createBlock'; readonly vnic: ObservedVnic }
  | { readonly kind: 'createAddresses'; readonly vnic: ObservedVnic; readonly count: number }
  | { readonly kind: 'delete'; readonly object: PrivateIp }

export type Obstacle =
  /** The shape has the primary VNIC and no other. */
  | { readonly kind: 'oneVnicShape'; readonly shape: string }
  /** Fewer attached than the limit: the cloud refused another one all the same. */
  | { readonly kind: 'vnicsExhausted'; readonly shape: string; readonly limit: number; readonly attached: number }
  | { readonly kind: 'subnetsFull'; readonly subnetIds: readonly SubnetOcid[] }
  /** All VNICs that the resource lists are full. */
  | { readonly kind: 'listedVnicsFull'; readonly vnics: number }

export const blockPrefixLength = 28
export const blockSize = 16
/** Creates of one node at a time: the others' turns at the cloud's quota come between. */
const createsAtOnce = 8

export function planNode(input: PlanInput): NodePlan {
  const { observed, wish } = input
  const wanted = wantedAddresses(wish, input.demand)
  const total = addressCount(observed.vnics)
  const { releases, deletable, leaving } = planReleases({
    vnics: observed.vnics,
    releases: input.releases,
    podAddresses: input.demand.podAddresses,
    wanted,
    reluctant: input.reluctant,
    mayMark: input.mayMark,
  })
  const available = total - leaving
  const base = { wanted, available, releases }
  const matched = matchVnics(wish.vnics, observed)
  const upkeep: readonly Step[] = [
    ...deletable.map((object) => ({ kind: 'delete', object }) as const),
    ...matched.pairs.filter(isAstray).map(({ vnic, wish: own }) => ({ kind: 'updateVnic', vnic, wish: own }) as const),
  ]
  const growth = planGrowth(input, matched, wanted - available, wish.addresses.maximum - available)
  return { ...base, steps: [...upkeep, ...growth.steps], ...(growth.obstacle && { obstacle: growth.obstacle }) }
}

/** Elastic: what is used and a warm margin, within bounds. Compatible: as many as the node may have pods. */
export function wantedAddresses(
  { addresses, maxPodCount }: Pick<NodeWish, 'addresses' | 'maxPodCount'>,
  demand: Pick<Demand, 'used' | 'pods'>,
): number {
  if (addresses.mode === 'Compatible') return maxPodCount
  // Never none to spare: an agent without a free address lets no pod onto its node, and so none would ever be needed.
  const needed = Math.max(demand.used, demand.pods) + Math.max(addresses.warm, 1)
  return Math.min(Math.max(needed, addresses.minimum), addresses.maximum)
}

interface Growth {
  readonly steps: readonly Step[]
  readonly obstacle?: Obstacle
}

type Matched = ReturnType<typeof matchVnics>

/** `headroom` is how many addresses more the node may hold; blocks must fit into it. */
function planGrowth(input: PlanInput, { pairs, missing }: Matched, lacking: number, headroom: number): Growth {
  const creates = lacking > 0 ? planCreates(input, pairs, lacking, headroom) : { steps: [], covered: 0 }
  const uncovered = lacking - creates.covered
  // VNICs that are described one by one are wished for themselves, whether their addresses are needed or not.
  const isListed = input.wish.vnics.kind === 'listed'
  const next = input.wish.vnics.kind === 'listed' ? missing : uncovered > 0 ? [input.wish.vnics.template] : []
  if (isBeingModified(input.observed)) return { steps: [...creates.steps, { kind: 'awaitAttachment' }] }
  const attach = planAttach(input, next)
  const steps = [...creates.steps, ...attach.steps]
  const obstacle =
    attach.obstacle ?? (isListed && uncovered > 0 && steps.length === 0 ? fullList(input, pairs) : undefined)
  return { steps, ...(obstacle && { obstacle }) }
}

function fullList({ limits }: PlanInput, pairs: Matched['pairs']): Obstacle {
  const withoutRoom = pairs.map(({ vnic }) => vnic.subnet.id).filter((id) => limits.subnetsWithoutAddresses.has(id))
  if (withoutRoom.length > 0) return { kind: 'subnetsFull', subnetIds: [...new Set(withoutRoom)] }
  return { kind: 'listedVnicsFull', vnics: pairs.length }
}

interface Creates {
  readonly steps: readonly Step[]
  /** Addresses that the VNICs at hand have room for, now or in later rounds. */
  readonly covered: number
}

/** Fills the first VNIC that has room: few VNICs need few rules on the node. */
function planCreates({ wish, limits }: PlanInput, pairs: Matched['pairs'], lacking: number, headroom: number): Creates {
  const steps: Step[] = []
  let missing = lacking
  // Compatible takes not one more than it shall.
  let fitting = wish.addresses.mode === 'Compatible' ? lacking : headroom
  for (const { vnic, wish: own } of pairs) {
    if (!hasRoom(vnic, own, limits)) continue
    let room = own.objects - vnic.objects.length - vnic.foreignObjects
    let places = own.addresses - addressCount([vnic])
    const mayBlock = wish.addresses.preferBlocks && isOneBlock(vnic) && !limits.subnetsWithoutBlocks.has(vnic.subnet.id)
    for (; mayBlock && room > 0 && missing > 0 && Math.min(fitting, places) >= blockSize; room--) {
      steps.push({ kind: 'createBlock', vnic })
      missing -= blockSize
      fitting -= blockSize
      places -= blockSize
    }
    const count = Math.max(0, Math.min(room, places, missing))
    if (count > 0) steps.push({ kind: 'createAddresses', vnic, count: Math.min(count, createsAtOnce) })
    missing -= count
    fitting -= count
  }
  return { steps: steps.slice(0, createsAtOnce), covered: lacking - Math.max(0, missing) }
}

// The cloud takes blocks from any of a subnet's CIDRs, and a VNIC's status can tell of one.
function isOneBlock({ subnet }: ObservedVnic): boolean {
  return subnet.ipv4Cidrs.length === 1
}

function hasRoom(one: ObservedVnic, wish: VnicWish, limits: KnownLimits): boolean {
  const { vnic, subnet, objects, foreignObjects } = one
  if (vnic.lifecycleState !== 'AVAILABLE' || objects.length + foreignObjects >= wish.objects) return false
  if (addressCount([one]) >= wish.addresses) return false
  return !limits.fullVnics.has(vnic.id) && !limits.subnetsWithoutAddresses.has(subnet.id)
}

/** One at a time: a second attach on an instance that is being modified is a conflict. */
function planAttach({ observed, limits }: PlanInput, [wish]: readonly VnicWish[]): Growth {
  if (wish === undefined) return { steps: [] }
  const { instance, vnicLimit, attachments } = observed
  if (vnicLimit === 1) return { steps: [], obstacle: { kind: 'oneVnicShape', shape: instance.shape } }
  const attached = attachments.length
  if (limits.instanceFull || attached >= (vnicLimit ?? Infinity)) {
    return {
      steps: [],
      obstacle: { kind: 'vnicsExhausted', shape: instance.shape, limit: vnicLimit ?? attached, attached },
    }
  }
  const subnetId = wish.subnetIds.find((id) => !limits.subnetsWithoutAddresses.has(id))
  if (subnetId === undefined) return { steps: [], obstacle: { kind: 'subnetsFull', subnetIds: wish.subnetIds } }
  return { steps: [{ kind: 'attach', subnetId, wish, ordinal: observed.vnics.length + 1 }] }
}

// One that is still being made refuses every change, and is looked at again soon.
function isAstray({ vnic: { vnic }, wish }: VnicPair): boolean {
  return vnic.lifecycleState === 'AVAILABLE' && !isAsWished(vnic, wish)
}
