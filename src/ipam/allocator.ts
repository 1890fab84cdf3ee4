import { type AttachmentKey, formatAttachmentKey } from '../base/attachment.ts'
import type { Ipv4 } from '../base/ip.ts'
import { err, ok, type Result } from '../base/result.ts'
import type { VnicId } from '../base/vnic.ts'
import { type AddressPool, type VnicUsage, vnicUsage } from './address-pool.ts'
import { anchorCooldown } from './cooldown.ts'

/** `spread` balances the VNICs' bandwidth; `pack` keeps later VNICs empty, so that they can be detached. */
export type AllocationStrategy = 'spread' | 'pack'

export interface AllocationRequest {
  readonly strategy: AllocationStrategy
  /** The only address that will do. */
  readonly requestedIp?: Ipv4
}

export interface Allocation {
  readonly address: Ipv4
  readonly vnicId: VnicId
}

export type ReservedReason = 'primary-address' | 'router' | 'quarantined' | 'releasing'

export type AllocationError =
  | { readonly kind: 'pool-empty'; readonly vnics: readonly VnicUsage[] }
  | { readonly kind: 'not-on-node'; readonly address: Ipv4 }
  | { readonly kind: 'in-use'; readonly address: Ipv4; readonly key: AttachmentKey }
  | { readonly kind: 'cooling'; readonly address: Ipv4; readonly untilMs: number }
  | { readonly kind: 'reserved'; readonly address: Ipv4; readonly vnicId: VnicId; readonly reason: ReservedReason }

/**
 * Chooses an address; changes nothing. `spread` takes it from the VNIC with the most free addresses (the first of equals), `pack`
 * from the first VNIC that has one. Within a VNIC the first never-used address comes first, then the one released longest ago.
 */
export function allocate(pool: AddressPool, request: AllocationRequest): Result<Allocation, AllocationError> {
  if (request.requestedIp !== undefined) return allocateRequested(pool, request.requestedIp)
  const usages = pool.vnics.map((vnic) => vnicUsage(vnic, pool))
  const chosen = chooseVnic[request.strategy](usages)
  if (chosen?.next === undefined) return err({ kind: 'pool-empty', vnics: usages })
  return ok({ address: chosen.next, vnicId: chosen.vnicId })
}

const chooseVnic: Record<AllocationStrategy, (usages: readonly VnicUsage[]) => VnicUsage | undefined> = {
  spread: (usages) =>
    usages.reduce<VnicUsage | undefined>((best, usage) => (usage.free > (best?.free ?? 0) ? usage : best), undefined),
  pack: (usages) => usages.find((usage) => usage.free > 0),
}

function allocateRequested(pool: AddressPool, address: Ipv4): Result<Allocation, AllocationError> {
  const reserver = pool.vnics.find((vnic) => vnic.primaryAddress === address || vnic.routerIp === address)
  if (reserver !== undefined) {
    const reason = reserver.primaryAddress === address ? 'primary-address' : 'router'
    return err({ kind: 'reserved', address, vnicId: reserver.id, reason })
  }
  const owner = pool.vnics.find((vnic) => vnic.addresses.includes(address))
  if (owner === undefined) return err({ kind: 'not-on-node', address })
  const use = pool.uses.get(address)
  if (use !== undefined && use.state !== 'cooling') return err({ kind: 'in-use', address, key: use.key })
  if (pool.quarantined.has(address)) return err({ kind: 'reserved', address, vnicId: owner.id, reason: 'quarantined' })
  if (pool.releasing?.has(address) === true) {
    return err({ kind: 'reserved', address, vnicId: owner.id, reason: 'releasing' })
  }
  if (use !== undefined && pool.nowMs < use.coolingUntilMs) {
    return err({ kind: 'cooling', address, untilMs: anchorCooldown(use, pool.nowMs).coolingUntilMs })
  }
  return ok({ address, vnicId: owner.id })
}

/** One sentence for the CNI error's details. */
export function describeAllocationError(error: AllocationError): string {
  switch (error.kind) {
    case 'pool-empty':
      if (error.vnics.length === 0) return 'this node has no VNIC with addresses for pods'
      return `no free address on this node: ${describeUsages(error.vnics)}`
    case 'not-on-node':
      return `requested address ${error.address} is on no VNIC of this node`
    case 'in-use':
      return `requested address ${error.address} is in use by ${formatAttachmentKey(error.key)}`
    case 'cooling':
      return `requested address ${error.address} was released a moment ago and cools down until ${new Date(error.untilMs).toISOString()}`
    case 'reserved':
      return `requested address ${error.address} is reserved: ${reservedBecause[error.reason]} (VNIC ${error.vnicId})`
  }
}

const reservedBecause: Record<ReservedReason, string> = {
  'primary-address': "it is the VNIC's own address",
  router: "it is the subnet's router",
  quarantined: 'a live interface that the journal does not know has it',
  releasing: 'it is on its way back to the subnet',
}

// The primary VNIC has none for pods, as a rule, and is no part of the story.
function describeUsages(vnics: readonly VnicUsage[]): string {
  const telling = vnics.filter(({ total }) => total > 0)
  return telling.length === 0 ? 'its VNICs have no addresses for pods yet' : telling.map(describeUsage).join('; ')
}

function describeUsage({ vnicId, total, held, cooling, quarantined }: VnicUsage): string {
  return `VNIC ${vnicId} has ${total} addresses: ${held} held, ${cooling} cooling, ${quarantined} quarantined`
}
