import { ok, type Result } from '../../base/result.ts'
import { type ApiError, refuse } from './api-error.ts'
import { parseCreatePrivateIp, parseUpdatePrivateIp, parseUpdateVnic, type UpdateVnicDetails } from './bodies.ts'
import type { CloudModel } from './cloud-model.ts'
import type { NsgRecord, PrivateIpRecord, SubnetRecord, VcnRecord, VnicRecord } from './cloud-records.ts'
import { type ApiOperation, type Collection, find, getOperation, listOperation, notFound, show } from './operation.ts'
import { createPrivateIp, deletePrivateIp, updatePrivateIp } from './private-ips.ts'
import { checkNsgs } from './vnic-attachments.ts'
import { wireNsg, wirePrivateIp, wireSubnet, wireUtilisation, wireVcn, wireVnic } from './wire.ts'

const vnics: Collection<VnicRecord> = { what: 'VNIC', table: (cloud) => cloud.vnics, wire: wireVnic }
const privateIps: Collection<PrivateIpRecord> = {
  what: 'private IP',
  table: (cloud) => cloud.privateIps,
  wire: wirePrivateIp,
}
const subnets: Collection<SubnetRecord> = {
  what: 'subnet',
  table: (cloud) => cloud.subnets,
  wire: (_cloud, subnet) => wireSubnet(subnet),
}
const utilisations: Collection<SubnetRecord> = { ...subnets, wire: wireUtilisation }
const vcns: Collection<VcnRecord> = { what: 'VCN', table: (cloud) => cloud.vcns, wire: (_cloud, vcn) => wireVcn(vcn) }
const nsgs: Collection<NsgRecord> = {
  what: 'network security group',
  table: (cloud) => cloud.nsgs,
  wire: (_cloud, nsg) => wireNsg(nsg),
}

const updateVnicOperation: ApiOperation = {
  name: 'UpdateVnic',
  method: 'PUT',
  path: '/vnics/:id',
  run: (cloud, { id, body }) => {
    const vnic = cloud.vnics.get(id)
    if (vnic === undefined) return notFound(vnics, id)
    const details = parseUpdateVnic(body)
    if (!details.ok) return details
    const updated = updateVnic(cloud, vnic, details.value)
    return updated.ok ? show(cloud, vnics, updated.value) : updated
  },
  etag: (cloud, id) => cloud.vnics.etag(id),
}

const createPrivateIpOperation: ApiOperation = {
  name: 'CreatePrivateIp',
  method: 'POST',
  path: '/privateIps',
  run: async (cloud, { body }) => {
    const details = parseCreatePrivateIp(body)
    if (!details.ok) return details
    const made = await createPrivateIp(cloud, details.value)
    return made.ok ? show(cloud, privateIps, made.value) : made
  },
  recall: (cloud, id) => find(cloud, privateIps, id),
}

const updatePrivateIpOperation: ApiOperation = {
  name: 'UpdatePrivateIp',
  method: 'PUT',
  path: '/privateIps/:id',
  run: async (cloud, { id, body }) => {
    const address = cloud.privateIps.get(id)
    if (address === undefined) return notFound(privateIps, id)
    const details = parseUpdatePrivateIp(body)
    if (!details.ok) return details
    const updated = await updatePrivateIp(cloud, address, details.value)
    return updated.ok ? show(cloud, privateIps, updated.value) : updated
  },
  etag: (cloud, id) => cloud.privateIps.etag(id),
}

const deletePrivateIpOperation: ApiOperation = {
  name: 'DeletePrivateIp',
  method: 'DELETE',
  path: '/privateIps/:id',
  run: async (cloud, { id }) => {
    const address = cloud.privateIps.get(id)
    if (address === undefined) return notFound(privateIps, id)
    const deleted = await deletePrivateIp(cloud, address)
    return deleted.ok ? ok({ kind: 'nothing' }) : deleted
  },
  etag: (cloud, id) => cloud.privateIps.etag(id),
}

const listAllPrivateIps = listOperation(
  'ListPrivateIps',
  '/privateIps',
  privateIps,
  (one) => ({
    subnetId: one.subnetId,
    vnicId: one.vnicId ?? '',
    ipAddress: one.cidr.address,
    lifetime: one.lifetime,
    ipState: one.vnicId === undefined ? 'AVAILABLE' : 'ASSIGNED',
  }),
  [],
)

const listPrivateIps: ApiOperation = {
  ...listAllPrivateIps,
  run: (cloud, request) => {
    const { subnetId, vnicId } = request.query
    if (subnetId === undefined && vnicId === undefined) {
      return refuse('MissingParameter', 'one of subnetId and vnicId is required')
    }
    if (vnicId !== undefined && cloud.vnics.get(vnicId) === undefined) return notFound(vnics, vnicId)
    if (subnetId !== undefined && cloud.subnets.get(subnetId) === undefined) return notFound(subnets, subnetId)
    return listAllPrivateIps.run(cloud, request)
  },
}

const listNsgVnics: ApiOperation = {
  name: 'ListNetworkSecurityGroupVnics',
  method: 'GET',
  path: '/networkSecurityGroups/:id/vnics',
  run: (cloud, { id }) => {
    const nsg = cloud.nsgs.get(id)
    if (nsg === undefined) return notFound(nsgs, id)
    const members = cloud.vnics.all().filter((vnic) => vnic.nsgIds.includes(nsg.id))
    const items = members.map((vnic) => ({
      key: vnic.id,
      body: {
        vnicId: vnic.id,
        resourceId: vnic.instanceId,
        timeAssociated: new Date(vnic.createdAtMs).toISOString(),
      },
    }))
    return ok({ kind: 'list', items })
  },
}

export const networkOperations: readonly ApiOperation[] = [
  getOperation('GetVnic', '/vnics/:id', vnics),
  updateVnicOperation,
  getOperation('GetPrivateIp', '/privateIps/:id', privateIps),
  listPrivateIps,
  createPrivateIpOperation,
  updatePrivateIpOperation,
  deletePrivateIpOperation,
  getOperation('GetSubnet', '/subnets/:id', subnets),
  listOperation('ListSubnets', '/subnets', subnets, ({ compartmentId, vcnId, displayName, lifecycleState }) => ({
    compartmentId,
    vcnId,
    displayName,
    lifecycleState,
  })),
  getOperation('GetSubnetCidrUtilization', '/ipInventory/subnets/:id/cidrs', utilisations),
  getOperation('GetVcn', '/vcns/:id', vcns),
  listOperation('ListVcns', '/vcns', vcns, ({ compartmentId, displayName }) => ({ compartmentId, displayName })),
  getOperation('GetNetworkSecurityGroup', '/networkSecurityGroups/:id', nsgs),
  listOperation(
    'ListNetworkSecurityGroups',
    '/networkSecurityGroups',
    nsgs,
    ({ compartmentId, vcnId, displayName }) => ({ compartmentId, vcnId, displayName }),
    [],
  ),
  listNsgVnics,
]

function updateVnic(cloud: CloudModel, vnic: VnicRecord, change: UpdateVnicDetails): Result<VnicRecord, ApiError> {
  if (vnic.lifecycleState !== 'AVAILABLE') return refuse('IncorrectState', `VNIC ${vnic.id} is ${vnic.lifecycleState}`)
  const { nsgIds, skipSourceDestCheck, displayName, freeformTags } = change
  const checked = checkNsgs(cloud, nsgIds ?? vnic.nsgIds, cloud.subnets.require(vnic.subnetId))
  if (!checked.ok) return checked
  const updated = {
    ...vnic,
    nsgIds: checked.value,
    skipSourceDestCheck: skipSourceDestCheck ?? vnic.skipSourceDestCheck,
    displayName: displayName ?? vnic.displayName,
    tags: freeformTags ?? vnic.tags,
  }
  return ok(cloud.vnics.put(updated))
}
