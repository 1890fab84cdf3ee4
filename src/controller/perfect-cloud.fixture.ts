// A cloud that carries out every plan at once and exactly, as far as its subnets have room.
import { ipv4FromNumber } from '../base/ip.ts'
import type { PrivateIp } from '../oci/core-services.ts'
import type { SubnetOcid } from '../oci/ocid.ts'
import { blockSize, type KnownLimits, type Step } from './node-plan.ts'
import { attachment, noLimits, observation, observedVnic, privateIp, subnet } from './observation.fixture.ts'
import type { NodeObservation, ObservedVnic } from './observation.ts'
import { addressesOf } from './observation.ts'

export interface PerfectCloud {
  readonly observed: NodeObservation
  readonly subnets: readonly PerfectSubnet[]
  /** What it had to refuse. */
  readonly limits: KnownLimits
  /** No address is given out twice. */
  readonly nextAddress: number
}

export interface PerfectSubnet {
  readonly id: SubnetOcid
  readonly free: number
  readonly hasBlocks: boolean
}

export function emptyCloud(vnicLimit: number, subnets: readonly PerfectSubnet[]): PerfectCloud {
  return { observed: observation([], { vnicLimit }), subnets, limits: noLimits, nextAddress: 0x0a_00_00_10 }
}

export function carryOut(cloud: PerfectCloud, steps: readonly Step[]): PerfectCloud {
  return steps.reduce(carryOutOne, cloud)
}

function carryOutOne(cloud: PerfectCloud, step: Step): PerfectCloud {
  switch (step.kind) {
    case 'awaitAttachment':
      return cloud
    case 'attach':
      return attached(cloud, step)
    case 'updateVnic': {
      const { nsgIds, skipSourceDestCheck } = step.wish
      return withVnic(cloud, step.vnic, (one) => ({ ...one, vnic: { ...one.vnic, nsgIds, skipSourceDestCheck } }))
    }
    case 'createBlock': {
      if (hasRoom(cloud, step.vnic, blockSize)) return created(cloud, step.vnic, 28)
      const subnetsWithoutBlocks = new Set([...cloud.limits.subnetsWithoutBlocks, step.vnic.subnet.id])
      return { ...cloud, limits: { ...cloud.limits, subnetsWithoutBlocks } }
    }
    case 'createAddresses':
      return createdAddresses(cloud, step)
    case 'delete':
      return deleted(cloud, step.object)
  }
}

function attached(cloud: PerfectCloud, { subnetId, wish }: Extract<Step, { kind: 'attach' }>): PerfectCloud {
  const { observed } = cloud
  const name = String(observed.vnics.length + 1)
  const { nsgIds, skipSourceDestCheck, displayName, nicIndex } = wish
  const vnic = observedVnic(name, {
    subnet: subnet('pods', { id: subnetId }),
    vnic: { nsgIds, skipSourceDestCheck, ...(displayName !== undefined && { displayName }) },
    attachment: nicIndex === undefined ? {} : { nicIndex },
  })
  const attachments = [...observed.attachments, attachment(name)]
  return { ...cloud, observed: { ...observed, attachments, vnics: [...observed.vnics, vnic] } }
}

function createdAddresses(
  cloud: PerfectCloud,
  { vnic, count }: Extract<Step, { kind: 'createAddresses' }>,
): PerfectCloud {
  let after = cloud
  for (let made = 0; made < count; made++) {
    if (hasRoom(after, vnic, 1)) after = created(after, vnic, 32)
    else {
      const subnetsWithoutAddresses = new Set([...after.limits.subnetsWithoutAddresses, vnic.subnet.id])
      after = { ...after, limits: { ...after.limits, subnetsWithoutAddresses } }
    }
  }
  return after
}

function hasRoom({ subnets }: PerfectCloud, { subnet: { id } }: ObservedVnic, size: number): boolean {
  return subnets.some((one) => one.id === id && one.free >= size && (size === 1 || one.hasBlocks))
}

function created(cloud: PerfectCloud, { vnic, subnet: { id } }: ObservedVnic, prefixLength: 28 | 32): PerfectCloud {
  const size = 2 ** (32 - prefixLength)
  const first = Math.ceil(cloud.nextAddress / size) * size
  const object = privateIp(`${ipv4FromNumber(first)}/${prefixLength}`, { subnetId: id, vnicId: vnic.id })
  const after = withVnic({ ...cloud, nextAddress: first + size }, { vnic }, (one) => ({
    ...one,
    objects: [...one.objects, object],
  }))
  return withFree(after, id, -size)
}

function deleted(cloud: PerfectCloud, object: PrivateIp): PerfectCloud {
  const vnics = cloud.observed.vnics.map((one) => ({
    ...one,
    objects: one.objects.filter(({ id }) => id !== object.id),
  }))
  return withFree({ ...cloud, observed: { ...cloud.observed, vnics } }, object.subnetId, addressesOf(object).length)
}

function withVnic(
  cloud: PerfectCloud,
  { vnic }: Pick<ObservedVnic, 'vnic'>,
  change: (one: ObservedVnic) => ObservedVnic,
): PerfectCloud {
  const vnics = cloud.observed.vnics.map((one) => (one.vnic.id === vnic.id ? change(one) : one))
  return { ...cloud, observed: { ...cloud.observed, vnics } }
}

function withFree(cloud: PerfectCloud, id: SubnetOcid, change: number): PerfectCloud {
  const subnets = cloud.subnets.map((one) => (one.id === id ? { ...one, free: one.free + change } : one))
  return { ...cloud, subnets }
}
