import type { Ipv4 } from '../base/ip.ts'
import { cidrSize } from '../base/cidr.ts'
import type { AddressRelease } from '../kube/native-pod-network-status.ts'
import type { PrivateIp } from '../oci/core-services.ts'
import type { PrivateIpOcid } from '../oci/ocid.ts'
import { addressesOf, type ObservedVnic } from './observation.ts'

/**
 * The way of an address back to its subnet. The controller marks it; the agent stops giving it out, waits until nobody
 * uses it, and confirms; only then is it deleted, as a whole object, be it one address or a block.
 */
export interface ReleasePlan {
  /** The entries that `status.elastic.releases` shall have. */
  readonly releases: readonly AddressRelease[]
  /** Every address of theirs is confirmed: to be deleted in the cloud. */
  readonly deletable: readonly PrivateIp[]
  /** Addresses of objects that are on their way back. */
  readonly leaving: number
}

export interface ReleaseInput {
  readonly vnics: readonly ObservedVnic[]
  readonly releases: readonly AddressRelease[]
  /** Addresses of the node's live pods, as Kubernetes knows them. */
  readonly podAddresses: ReadonlySet<string>
  /** Addresses that the node shall keep. */
  readonly wanted: number
  /** Marked before, for long, and not confirmed: somebody uses them whom Kubernetes does not know. */
  readonly reluctant: ReadonlySet<PrivateIpOcid>
  /** Whether an excess has lasted long enough for new marks. */
  readonly mayMark: boolean
}

interface Candidate {
  readonly object: PrivateIp
  readonly vnicId: AddressRelease['vnicId']
  readonly addresses: readonly Ipv4[]
  readonly entries: readonly AddressRelease[]
}

export function planReleases(input: ReleaseInput): ReleasePlan {
  const candidates = input.vnics.flatMap(({ vnic, objects }) => objects.map((object) => candidate(object, vnic, input)))
  // An address that a pod has is not given back, whoever wrote Confirmed there. Where the agent's word came after all,
  // its reluctance before counts no more.
  const isUsed = (one: Candidate): boolean =>
    (input.reluctant.has(one.object.id) && !isConfirmed(one)) ||
    one.addresses.some((address) => input.podAddresses.has(address))
  const begun = candidates.filter((one) => one.entries.length > 0 && !isUsed(one))
  const deletable = begun.filter(isConfirmed)
  const staying = candidates.filter((one) => !deletable.includes(one))
  const kept = cancelled(
    begun.filter((one) => !isConfirmed(one)),
    staying,
    input.wanted,
  )
  const marked = input.mayMark ? newMarks(staying, kept, isUsed, input.wanted) : []
  const leaving = [...kept, ...marked]
  return {
    releases: [...deletable.flatMap(({ entries }) => entries), ...leaving.flatMap(entriesOf)],
    deletable: deletable.map(({ object }) => object),
    leaving: [...deletable, ...leaving].reduce((sum, { object }) => sum + cidrSize(object.cidr), 0),
  }
}

function candidate(object: PrivateIp, { id }: ObservedVnic['vnic'], { releases }: ReleaseInput): Candidate {
  const addresses = addressesOf(object)
  const own = new Set<Ipv4>(addresses)
  return {
    object,
    vnicId: id,
    addresses,
    entries: releases.filter(({ address, vnicId }) => vnicId === id && own.has(address)),
  }
}

function isConfirmed({ addresses, entries }: Candidate): boolean {
  const confirmed = new Set(entries.filter(({ state }) => state === 'Confirmed').map(({ address }) => address))
  return addresses.every((address) => confirmed.has(address))
}

// Marks are taken back while the node needs the addresses: that is cheaper than new ones. A part of an object may be
// confirmed by then; nobody has deleted anything, as that takes all of it, so the whole object may come back.
function cancelled(begun: readonly Candidate[], staying: readonly Candidate[], wanted: number): readonly Candidate[] {
  const kept: Candidate[] = []
  let remaining = sizeOf(staying)
  for (const one of begun) {
    const size = cidrSize(one.object.cidr)
    if (remaining - size < wanted) continue
    remaining -= size
    kept.push(one)
  }
  return kept
}

// The last VNIC's first, so that the VNICs at the front stay full; on each single addresses first: they are what
// fragments a subnet.
function newMarks(
  staying: readonly Candidate[],
  kept: readonly Candidate[],
  isUsed: (one: Candidate) => boolean,
  wanted: number,
): readonly Candidate[] {
  let excess = sizeOf(staying) - sizeOf(kept) - wanted
  const order = staying
    .filter((one) => !kept.includes(one) && !isUsed(one))
    .map((one, at) => ({ one, at }))
    .toSorted((a, b) => b.at - a.at)
    .map(({ one }) => one)
  const vnicOrder = [...new Set(order.map(({ vnicId }) => vnicId))]
  const marked: Candidate[] = []
  for (const vnicId of vnicOrder) {
    const here = order.filter((one) => one.vnicId === vnicId)
    for (const one of here.toSorted((a, b) => cidrSize(a.object.cidr) - cidrSize(b.object.cidr))) {
      const size = cidrSize(one.object.cidr)
      if (size > excess) continue
      excess -= size
      marked.push(one)
    }
  }
  return marked
}

function entriesOf({ addresses, entries, vnicId }: Candidate): readonly AddressRelease[] {
  const known = new Map(entries.map((entry) => [entry.address, entry]))
  return addresses.map((address) => known.get(address) ?? { address, vnicId, state: 'Marked' })
}

function sizeOf(candidates: readonly Candidate[]): number {
  return candidates.reduce((sum, { object }) => sum + cidrSize(object.cidr), 0)
}
