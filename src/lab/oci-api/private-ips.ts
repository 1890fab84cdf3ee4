import { formatCidr, type Ipv4Cidr } from '../../base/cidr.ts'
import type { Ipv4 } from '../../base/ip.ts'
import { ok, type Result, unwrap } from '../../base/result.ts'
import type { Tags } from '../../oci/core-services.ts'
import { parsePrivateIpOcid } from '../../oci/ocid.ts'
import { type ApiError, apiError, refuse } from './api-error.ts'
import type { CloudModel } from './cloud-model.ts'
import type { PrivateIpRecord, SubnetRecord, VnicRecord } from './cloud-records.ts'

export interface CreateDetails {
  readonly vnicId: string
  readonly address?: Ipv4
  readonly cidrPrefixLength?: number
  readonly displayName: string
  readonly hostnameLabel?: string
  readonly tags: Tags
}

export interface UpdateDetails {
  readonly vnicId?: string
  readonly displayName?: string
  readonly hostnameLabel?: string
  readonly tags?: Tags
}

interface Owner {
  readonly vnic: VnicRecord
  readonly subnet: SubnetRecord
}

/** When the answer comes, the address is delivered. */
export async function createPrivateIp(
  cloud: CloudModel,
  details: CreateDetails,
): Promise<Result<PrivateIpRecord, ApiError>> {
  const owner = openOwner(cloud, details.vnicId)
  if (!owner.ok) return owner
  const { vnic, subnet } = owner.value
  const room = checkRoom(cloud, vnic)
  if (!room.ok) return room
  const prefixLength = details.cidrPrefixLength ?? 32
  const { address } = details
  const placed = placeBlock(cloud, subnet, { prefixLength, ...(address !== undefined && { address }) })
  if (!placed.ok) return placed
  const isBlock = details.cidrPrefixLength !== undefined
  if (isBlock) updateForFirstBlock(cloud, subnet, placed.value)
  const { displayName, hostnameLabel, tags } = details
  const label = hostnameLabel === undefined ? {} : { hostnameLabel }
  const made = addPrivateIp(cloud, { vnic, cidr: placed.value, isPrimary: false, displayName, tags, ...label })
  try {
    await cloud.fabric.registerAddress(vnic.id, made.cidr)
    return ok(made)
  } catch (error) {
    forget(cloud, made)
    return { ok: false, error: apiError('InternalServerError', String(error)) }
  }
}

export async function deletePrivateIp(
  cloud: CloudModel,
  address: PrivateIpRecord,
): Promise<Result<undefined, ApiError>> {
  // Unverified which code Oracle answers; its documentation only says that a primary one cannot be deleted.
  if (address.isPrimary) return refuse('InvalidParameter', `${formatCidr(address.cidr)} is a VNIC's primary address`)
  const subnet = checkSubnet(cloud.subnets.require(address.subnetId))
  if (!subnet.ok) return subnet
  cloud.privateIps.remove(address.id)
  if (address.vnicId !== undefined) await cloud.fabric.unregisterAddress(address.vnicId, address.cidr)
  // Only now: an address that two VNICs answer for would be worse than one nobody has for a moment.
  cloud.space(address.subnetId).release(address.cidr)
  return ok(undefined)
}

/** Can move a secondary address to another VNIC of the same subnet. */
export async function updatePrivateIp(
  cloud: CloudModel,
  address: PrivateIpRecord,
  { vnicId, ...change }: UpdateDetails,
): Promise<Result<PrivateIpRecord, ApiError>> {
  if (vnicId !== undefined && vnicId !== address.vnicId) {
    if (address.isPrimary) return refuse('InvalidParameter', `${formatCidr(address.cidr)} is a VNIC's primary address`)
    const owner = openOwner(cloud, vnicId)
    if (!owner.ok) return owner
    const { vnic, subnet } = owner.value
    if (subnet.id !== address.subnetId) {
      return refuse('InvalidParameter', `VNIC ${vnicId} is in another subnet than ${formatCidr(address.cidr)}`)
    }
    const room = checkRoom(cloud, vnic)
    if (!room.ok) return room
    cloud.privateIps.update(address.id, { vnicId: vnic.id })
    if (address.vnicId !== undefined) await cloud.fabric.unregisterAddress(address.vnicId, address.cidr)
    await cloud.fabric.registerAddress(vnic.id, address.cidr)
  }
  cloud.privateIps.update(address.id, change)
  return ok(cloud.privateIps.require(address.id))
}

export interface NewPrivateIp {
  readonly vnic: VnicRecord
  readonly cidr: Ipv4Cidr
  readonly isPrimary: boolean
  readonly displayName: string
  readonly tags: Tags
  readonly hostnameLabel?: string
}

/** Of a block that was placed. */
export function addPrivateIp(cloud: CloudModel, { vnic, ...rest }: NewPrivateIp): PrivateIpRecord {
  cloud.space(vnic.subnetId).take(rest.cidr)
  return cloud.privateIps.put({
    ...rest,
    ...cloud.newResource(rest),
    id: unwrap(parsePrivateIpOcid(cloud.newOcid('privateip'))),
    compartmentId: vnic.compartmentId,
    subnetId: vnic.subnetId,
    vnicId: vnic.id,
    lifetime: 'EPHEMERAL',
  })
}

/** A free block of that size, or the very one asked for. Nothing is taken yet. */
export function placeBlock(
  cloud: CloudModel,
  subnet: SubnetRecord,
  wanted: { readonly address?: Ipv4; readonly prefixLength: number },
): Result<Ipv4Cidr, ApiError> {
  const available = checkSubnet(subnet)
  if (!available.ok) return available
  const space = cloud.space(subnet.id)
  const { address, prefixLength } = wanted
  if (address === undefined) {
    const found = space.find(prefixLength)
    if (found !== undefined) return ok(found)
    const what = prefixLength === 32 ? 'free address' : `free block of /${prefixLength}`
    // Unverified which code Oracle answers. This is the least helpful one: it is also that of a full VNIC.
    return refuse('LimitExceeded', `subnet ${subnet.id} has no ${what}`)
  }
  const block = { address, prefixLength }
  switch (space.placement(block)) {
    case 'free':
      return ok(block)
    case 'taken':
      return refuse('Conflict', `${formatCidr(block)} is in use`)
    case 'reserved':
      return refuse('InvalidParameter', `ipAddress: ${formatCidr(block)} is or has an address that the subnet reserves`)
    case 'misaligned':
      return refuse('InvalidParameter', `ipAddress: ${formatCidr(block)} has host bits set`)
    case 'outside':
      return refuse('InvalidParameter', `ipAddress: ${formatCidr(block)} is not in subnet ${subnet.id}`)
  }
}

function openOwner(cloud: CloudModel, vnicId: string): Result<Owner, ApiError> {
  const vnic = cloud.vnics.get(vnicId)
  if (vnic === undefined) return refuse('RelatedResourceNotAuthorizedOrNotFound', `VNIC ${vnicId}`)
  if (vnic.lifecycleState !== 'AVAILABLE') return refuse('IncorrectState', `VNIC ${vnicId} is ${vnic.lifecycleState}`)
  const subnet = checkSubnet(cloud.subnets.require(vnic.subnetId))
  return subnet.ok ? ok({ vnic, subnet: subnet.value }) : subnet
}

function checkSubnet(subnet: SubnetRecord): Result<SubnetRecord, ApiError> {
  if (subnet.lifecycleState === 'AVAILABLE') return ok(subnet)
  return refuse('IncorrectState', `subnet ${subnet.id} is ${subnet.lifecycleState}`)
}

function checkRoom(cloud: CloudModel, { id }: VnicRecord): Result<undefined, ApiError> {
  const { addressesPerVnic } = cloud.settings
  const objects = cloud.privateIps.filter(({ vnicId, isPrimary }) => vnicId === id && !isPrimary).length
  if (objects < addressesPerVnic) return ok(undefined)
  return refuse('LimitExceeded', `VNIC ${id} has ${objects} of ${addressesPerVnic} secondary private IPs`)
}

// reference/oci.md section 2: once, with the first block from the subnet's first CIDR.
function updateForFirstBlock(cloud: CloudModel, subnet: SubnetRecord, block: Ipv4Cidr): void {
  if (subnet.hasHadBlock || !cloud.space(subnet.id).isFirstCidr(block)) return
  cloud.subnets.update(subnet.id, { lifecycleState: 'UPDATING', hasHadBlock: true })
  cloud.scheduler.after(cloud.settings.subnetUpdateDelayMs, () => {
    cloud.subnets.update(subnet.id, { lifecycleState: 'AVAILABLE' })
    return Promise.resolve()
  })
}

function forget(cloud: CloudModel, address: PrivateIpRecord): void {
  // The whole VNIC, and this address with it, may have gone meanwhile.
  if (cloud.privateIps.get(address.id) === undefined) return
  cloud.privateIps.remove(address.id)
  cloud.space(address.subnetId).release(address.cidr)
}
