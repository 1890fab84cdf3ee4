import { ok } from '../../base/result.ts'
import { parseAttach } from './bodies.ts'
import type { AttachmentRecord, InstanceRecord, ShapeRecord } from './cloud-records.ts'
import { type ApiOperation, type Collection, find, getOperation, listOperation, notFound, show } from './operation.ts'
import { attachVnic, detachVnic } from './vnic-attachments.ts'
import { wireAttachment, wireInstance, wireShape } from './wire.ts'

const instances: Collection<InstanceRecord> = {
  what: 'instance',
  table: (cloud) => cloud.instances,
  wire: wireInstance,
}
const shapes: Collection<ShapeRecord> = {
  what: 'shape',
  table: (cloud) => cloud.shapes,
  wire: (_cloud, shape) => wireShape(shape),
}
const attachments: Collection<AttachmentRecord> = {
  what: 'VNIC attachment',
  table: (cloud) => cloud.attachments,
  wire: wireAttachment,
}

const attach: ApiOperation = {
  name: 'AttachVnic',
  method: 'POST',
  path: '/vnicAttachments',
  run: (cloud, { body }) => {
    const details = parseAttach(body)
    if (!details.ok) return details
    const attachment = attachVnic(cloud, details.value)
    return attachment.ok ? show(cloud, attachments, attachment.value) : attachment
  },
  recall: (cloud, id) => find(cloud, attachments, id),
}

const detach: ApiOperation = {
  name: 'DetachVnic',
  method: 'DELETE',
  path: '/vnicAttachments/:id',
  run: (cloud, { id }) => {
    const attachment = cloud.attachments.get(id)
    if (attachment === undefined || attachment.lifecycleState === 'DETACHED') return notFound(attachments, id)
    const detached = detachVnic(cloud, attachment)
    return detached.ok ? ok({ kind: 'nothing' }) : detached
  },
  etag: (cloud, id) => cloud.attachments.etag(id),
}

export const computeOperations: readonly ApiOperation[] = [
  getOperation('GetInstance', '/instances/:id', instances),
  listOperation('ListInstances', '/instances', instances, (one) => ({
    compartmentId: one.compartmentId,
    availabilityDomain: one.availabilityDomain,
    displayName: one.displayName,
    lifecycleState: one.lifecycleState,
  })),
  listOperation('ListShapes', '/shapes', shapes, ({ name }) => ({ shape: name })),
  getOperation('GetVnicAttachment', '/vnicAttachments/:id', attachments),
  listOperation('ListVnicAttachments', '/vnicAttachments', attachments, (one, cloud) => ({
    compartmentId: one.compartmentId,
    availabilityDomain: cloud.instances.get(one.instanceId)?.availabilityDomain,
    instanceId: one.instanceId,
    // Its VNIC is not known yet while it is being attached.
    vnicId: one.lifecycleState === 'ATTACHING' ? undefined : one.vnicId,
  })),
  attach,
  detach,
]
