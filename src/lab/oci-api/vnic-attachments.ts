import { hostCidr } from '../../base/cidr.ts'
import type { Ipv4 } from '../../base/ip.ts'
import { ok, type Result, unwrap } from '../../base/result.ts'
import type { Tags } from '../../oci/core-services.ts'
import { parseVnicAttachmentOcid, parseVnicOcid, type NsgOcid } from '../../oci/ocid.ts'
import { type ApiError, refuse } from './api-error.ts'
import type { CloudModel } from './cloud-model.ts'
import type { AttachmentRecord, InstanceRecord, SubnetRecord, VnicRecord } from './cloud-records.ts'
import { instanceVnicLimit, removeVnic } from './instances.ts'
import { addPrivateIp, placeBlock } from './private-ips.ts'

export interface AttachDetails {
  readonly instanceId: string
  readonly displayName: string
  readonly nicIndex: number
  readonly vnic: {
    readonly subnetId: string
    readonly displayName: string
    readonly nsgIds: readonly string[]
    readonly skipSourceDestCheck: boolean
    readonly address?: Ipv4
    readonly tags: Tags
  }
}

export const maxNsgsOfVnic = 5

/** Answers ATTACHING; the VNIC is there, or the attach has failed, after the attach delay. */
export function attachVnic(cloud: CloudModel, details: AttachDetails): Result<AttachmentRecord, ApiError> {
  const checked = checkAttach(cloud, details)
  if (!checked.ok) return checked
  const { instance, subnet, nsgIds } = checked.value
  const wanted = details.vnic.address
  const placed = placeBlock(cloud, subnet, wanted === undefined ? { prefixLength: 32 } : hostCidr(wanted))
  if (!placed.ok) return placed
  const vlanTag = 1 + Math.floor(cloud.random() * 4094)
  const shared = { compartmentId: instance.compartmentId, instanceId: instance.id, subnetId: subnet.id, vlanTag }
  const vnic = cloud.vnics.put({
    ...cloud.newResource(details.vnic),
    ...shared,
    id: unwrap(parseVnicOcid(cloud.newOcid('vnic'))),
    lifecycleState: 'PROVISIONING',
    mac: cloud.newMac(),
    isPrimary: false,
    primaryAddress: placed.value.address,
    nsgIds,
    skipSourceDestCheck: details.vnic.skipSourceDestCheck,
    nicIndex: details.nicIndex,
  })
  addPrivateIp(cloud, { vnic, cidr: placed.value, isPrimary: true, displayName: vnic.displayName, tags: {} })
  const attachment = cloud.attachments.put({
    ...cloud.newResource(details),
    ...shared,
    id: unwrap(parseVnicAttachmentOcid(cloud.newOcid('vnicattachment'))),
    lifecycleState: 'ATTACHING',
    nicIndex: details.nicIndex,
    vnicId: vnic.id,
  })
  cloud.scheduler.after(cloud.settings.attachDelayMs, () => finishAttach(cloud, attachment, vnic))
  return ok(attachment)
}

/** The VNIC and its addresses go after the detach delay. */
export function detachVnic(cloud: CloudModel, attachment: AttachmentRecord): Result<undefined, ApiError> {
  const { id, lifecycleState, vnicId, instanceId } = attachment
  if (lifecycleState !== 'ATTACHED') return refuse('IncorrectState', `VNIC attachment ${id} is ${lifecycleState}`)
  // Unverified which code Oracle answers; its documentation only says that a primary VNIC cannot be detached.
  if (cloud.vnics.require(vnicId).isPrimary) return refuse('InvalidParameter', `${vnicId} is the primary VNIC`)
  if (isBeingModified(cloud, instanceId)) return refuse('Conflict', `instance ${instanceId} is being modified`)
  beginDetach(cloud, attachment)
  return ok(undefined)
}

/** The groups, when all of them may be on a VNIC of this VCN. */
export function checkNsgs(
  cloud: CloudModel,
  ids: readonly string[],
  subnet: SubnetRecord,
): Result<readonly NsgOcid[], ApiError> {
  if (ids.length > maxNsgsOfVnic) {
    return refuse('InvalidParameter', `nsgIds has ${ids.length} groups, a VNIC takes at most ${maxNsgsOfVnic}`)
  }
  const nsgs = []
  for (const id of ids) {
    const nsg = cloud.nsgs.get(id)
    if (nsg === undefined) return refuse('RelatedResourceNotAuthorizedOrNotFound', `network security group ${id}`)
    if (nsg.vcnId !== subnet.vcnId) {
      return refuse('InvalidParameter', `nsgIds: ${id} is in another VCN than subnet ${subnet.id}`)
    }
    nsgs.push(nsg.id)
  }
  return ok(nsgs)
}

interface CheckedAttach {
  readonly instance: InstanceRecord
  readonly subnet: SubnetRecord
  readonly nsgIds: readonly NsgOcid[]
}

function checkAttach(cloud: CloudModel, { instanceId, vnic }: AttachDetails): Result<CheckedAttach, ApiError> {
  const instance = cloud.instances.get(instanceId)
  if (instance === undefined) return refuse('RelatedResourceNotAuthorizedOrNotFound', `instance ${instanceId}`)
  const subnet = cloud.subnets.get(vnic.subnetId)
  if (subnet === undefined) return refuse('RelatedResourceNotAuthorizedOrNotFound', `subnet ${vnic.subnetId}`)
  if (instance.lifecycleState !== 'RUNNING' && instance.lifecycleState !== 'STOPPED') {
    return refuse('IncorrectState', `instance ${instanceId} is ${instance.lifecycleState}`)
  }
  if (subnet.availabilityDomain !== undefined && subnet.availabilityDomain !== instance.availabilityDomain) {
    return refuse('InvalidParameter', `subnet ${subnet.id} is in ${subnet.availabilityDomain}, the instance is not`)
  }
  const nsgIds = checkNsgs(cloud, vnic.nsgIds, subnet)
  if (!nsgIds.ok) return nsgIds
  if (isBeingModified(cloud, instance.id)) return refuse('Conflict', `instance ${instanceId} is being modified`)
  const limit = instanceVnicLimit(cloud, instance)
  const attached = cloud.attachments.filter(
    (one) => one.instanceId === instance.id && one.lifecycleState !== 'DETACHED',
  ).length
  if (attached >= limit) {
    return refuse(
      'LimitExceeded',
      `instance ${instanceId} has ${attached} of ${limit} VNICs of shape ${instance.shape}`,
    )
  }
  return ok({ instance, subnet, nsgIds: nsgIds.value })
}

function isBeingModified(cloud: CloudModel, id: InstanceRecord['id']): boolean {
  const passing = new Set(['ATTACHING', 'DETACHING'])
  return cloud.attachments.all().some((one) => one.instanceId === id && passing.has(one.lifecycleState))
}

async function finishAttach(cloud: CloudModel, attachment: AttachmentRecord, vnic: VnicRecord): Promise<void> {
  // The instance may have been terminated meanwhile.
  if (cloud.attachments.get(attachment.id)?.lifecycleState !== 'ATTACHING') return
  const isPlugged = !cloud.settings.failsAttach() && (await succeeds(cloud.fabric.attachVnic(vnic)))
  if (!isPlugged) {
    beginDetach(cloud, attachment)
    return
  }
  if (cloud.vnics.get(vnic.id) === undefined) {
    await cloud.fabric.detachVnic(vnic.id)
    return
  }
  cloud.plugged.add(vnic.id)
  cloud.vnics.update(vnic.id, { lifecycleState: 'AVAILABLE' })
  cloud.attachments.update(attachment.id, { lifecycleState: 'ATTACHED' })
}

function beginDetach(cloud: CloudModel, { id, vnicId }: AttachmentRecord): void {
  cloud.attachments.update(id, { lifecycleState: 'DETACHING' })
  cloud.vnics.update(vnicId, { lifecycleState: 'TERMINATING' })
  cloud.scheduler.after(cloud.settings.detachDelayMs, async () => {
    await removeVnic(cloud, vnicId)
    cloud.attachments.update(id, { lifecycleState: 'DETACHED' })
    cloud.scheduler.after(cloud.settings.retentionMs, () => {
      cloud.attachments.remove(id)
      return Promise.resolve()
    })
  })
}

async function succeeds(work: Promise<void>): Promise<boolean> {
  try {
    await work
    return true
  } catch {
    return false
  }
}
