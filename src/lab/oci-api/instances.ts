import { formatCidr, hostCidr } from '../../base/cidr.ts'
import type { Ipv4 } from '../../base/ip.ts'
import type { Mac } from '../../base/mac.ts'
import { unwrap } from '../../base/result.ts'
import type { InstanceState, Tags } from '../../oci/core-services.ts'
import {
  type CompartmentOcid,
  type InstanceOcid,
  parseInstanceOcid,
  parseVnicAttachmentOcid,
  parseVnicOcid,
  type SubnetOcid,
  type VnicOcid,
} from '../../oci/ocid.ts'
import { vnicLimit } from '../../oci/vnic-limit.ts'
import type { CloudModel } from './cloud-model.ts'
import type { InstanceRecord, VnicRecord } from './cloud-records.ts'
import { addPrivateIp } from './private-ips.ts'

export interface Launch {
  readonly compartmentId: CompartmentOcid
  readonly displayName: string
  readonly availabilityDomain: string
  readonly shape: string
  readonly ocpus: number
  readonly subnetId: SubnetOcid
  readonly metadata?: Readonly<Record<string, string>>
  readonly tags?: Tags
  /** Of the primary VNIC, where the lab has made it already. */
  readonly primary?: { readonly id?: VnicOcid; readonly mac?: Mac; readonly address?: Ipv4 }
}

/** A running instance with its primary VNIC, whose interface is the business of whoever makes the node. */
export function launchInstance(cloud: CloudModel, launch: Launch): InstanceRecord {
  if (cloud.shapes.get(launch.shape) === undefined) throw new Error(`no shape ${launch.shape}: addShape comes first`)
  const { subnetId, primary = {}, metadata = {}, ...rest } = launch
  const resource = cloud.newResource(launch)
  const id = unwrap(parseInstanceOcid(cloud.newOcid('instance')))
  const instance = cloud.instances.put({ ...rest, ...resource, id, metadata, lifecycleState: 'RUNNING' })
  const vnicId = primary.id ?? unwrap(parseVnicOcid(cloud.newOcid('vnic')))
  const block = primary.address === undefined ? cloud.space(subnetId).find(32) : hostCidr(primary.address)
  if (block === undefined || cloud.space(subnetId).placement(block) !== 'free') {
    throw new Error(
      `no address for ${launch.displayName}${block === undefined ? '' : `: ${formatCidr(block)} is taken`}`,
    )
  }
  const shared = { ...resource, compartmentId: launch.compartmentId, instanceId: id, subnetId, tags: {} }
  const vnic: VnicRecord = {
    ...shared,
    id: vnicId,
    lifecycleState: 'AVAILABLE',
    mac: primary.mac ?? cloud.newMac(),
    isPrimary: true,
    primaryAddress: block.address,
    nsgIds: [],
    skipSourceDestCheck: false,
    vlanTag: 0,
    nicIndex: 0,
  }
  cloud.vnics.put(vnic)
  cloud.plugged.add(vnicId)
  addPrivateIp(cloud, { vnic, cidr: block, isPrimary: true, displayName: launch.displayName, tags: {} })
  const attachmentId = unwrap(parseVnicAttachmentOcid(cloud.newOcid('vnicattachment')))
  cloud.attachments.put({
    ...shared,
    id: attachmentId,
    lifecycleState: 'ATTACHED',
    nicIndex: 0,
    vnicId,
    vlanTag: 0,
  })
  return instance
}

export function setInstanceState(cloud: CloudModel, id: InstanceOcid, lifecycleState: InstanceState): void {
  cloud.instances.update(id, { lifecycleState })
}

/** The instance ends, and its VNICs with all their addresses; for a while both can still be read as ended. */
export function terminateInstance(cloud: CloudModel, id: InstanceOcid): void {
  setInstanceState(cloud, id, 'TERMINATING')
  cloud.scheduler.after(cloud.settings.terminateDelayMs, async () => {
    for (const attachment of cloud.attachments.filter(({ instanceId }) => instanceId === id)) {
      cloud.attachments.update(attachment.id, { lifecycleState: 'DETACHED' })
      await removeVnic(cloud, attachment.vnicId)
    }
    setInstanceState(cloud, id, 'TERMINATED')
    cloud.scheduler.after(cloud.settings.retentionMs, () => {
      for (const { id: gone, instanceId } of cloud.attachments.all()) {
        if (instanceId === id) cloud.attachments.remove(gone)
      }
      cloud.instances.remove(id)
      return Promise.resolve()
    })
  })
}

/** Gone with all its addresses. Out of the API first: nobody gives it another address meanwhile. */
export async function removeVnic(cloud: CloudModel, id: VnicOcid): Promise<void> {
  const vnic = cloud.vnics.get(id)
  if (vnic === undefined) return
  const addresses = cloud.privateIps.filter(({ vnicId }) => vnicId === id)
  cloud.vnics.remove(id)
  for (const address of addresses) cloud.privateIps.remove(address.id)
  if (cloud.plugged.delete(id)) await cloud.fabric.detachVnic(id)
  for (const { cidr, subnetId } of addresses) cloud.space(subnetId).release(cidr)
}

/** How many VNICs the instance takes. */
export function instanceVnicLimit(cloud: CloudModel, instance: InstanceRecord): number {
  const { name, maxVnicAttachments, maxVnicAttachmentOptions } = cloud.shapes.require(instance.shape)
  const shape = {
    name,
    ...(maxVnicAttachments !== undefined && { maxVnicAttachments }),
    ...(maxVnicAttachmentOptions !== undefined && { maxVnicAttachmentOptions }),
  }
  return vnicLimit({ shapeConfig: { ocpus: instance.ocpus } }, shape) ?? 2
}
