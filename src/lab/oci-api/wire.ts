import { cidrSize, formatCidr } from '../../base/cidr.ts'
import { uniquePart } from '../../oci/ocid.ts'
import type { CloudModel } from './cloud-model.ts'
import type {
  AttachmentRecord,
  InstanceRecord,
  NsgRecord,
  PrivateIpRecord,
  ShapeRecord,
  SubnetRecord,
  VcnRecord,
  VnicRecord,
} from './cloud-records.ts'
import { instanceVnicLimit } from './instances.ts'

// The records as the API shows them: JSON objects with the fields of Oracle's models.

export type Json = Readonly<Record<string, unknown>>

export function wireInstance(cloud: CloudModel, record: InstanceRecord): Json {
  const { id, availabilityDomain, lifecycleState, shape, ocpus, metadata } = record
  const shapeConfig = { ocpus, maxVnicAttachments: instanceVnicLimit(cloud, record) }
  return {
    ...common(record),
    id,
    availabilityDomain,
    lifecycleState,
    shape,
    shapeConfig,
    metadata,
    region: cloud.settings.region,
    faultDomain: 'FAULT-DOMAIN-1',
  }
}

export function wireShape({ name, maxVnicAttachments, maxVnicAttachmentOptions }: ShapeRecord): Json {
  return {
    shape: name,
    maxVnicAttachments: maxVnicAttachments ?? null,
    maxVnicAttachmentOptions: maxVnicAttachmentOptions ?? null,
    isFlexible: maxVnicAttachmentOptions !== undefined,
  }
}

export function wireAttachment(cloud: CloudModel, record: AttachmentRecord): Json {
  const { id, instanceId, subnetId, lifecycleState, nicIndex, vnicId, vlanTag } = record
  // Both known only once attached (reference/oci.md section 3).
  const isKnown = cloud.vnics.get(vnicId)?.lifecycleState !== 'PROVISIONING' && lifecycleState !== 'ATTACHING'
  const { compartmentId, displayName, timeCreated } = common(record)
  return {
    compartmentId,
    displayName,
    timeCreated,
    id,
    instanceId,
    subnetId,
    lifecycleState,
    nicIndex,
    availabilityDomain: cloud.instances.get(instanceId)?.availabilityDomain ?? null,
    vnicId: isKnown ? vnicId : null,
    vlanTag: isKnown ? vlanTag : null,
  }
}

export function wireVnic(cloud: CloudModel, record: VnicRecord): Json {
  const { id, subnetId, lifecycleState, mac, isPrimary, primaryAddress, nsgIds, skipSourceDestCheck } = record
  return {
    ...common(record),
    id,
    subnetId,
    lifecycleState,
    macAddress: mac.toUpperCase(),
    isPrimary,
    privateIp: primaryAddress,
    publicIp: null,
    nsgIds,
    skipSourceDestCheck,
    availabilityDomain: cloud.instances.get(record.instanceId)?.availabilityDomain ?? null,
  }
}

export function wirePrivateIp(cloud: CloudModel, record: PrivateIpRecord): Json {
  const { id, subnetId, vnicId, cidr, isPrimary, lifetime, hostnameLabel } = record
  const vnic = vnicId === undefined ? undefined : cloud.vnics.get(vnicId)
  // Null for a secondary one in a regional subnet.
  const isZonal = isPrimary || cloud.subnets.get(subnetId)?.availabilityDomain !== undefined
  const instance = vnic === undefined || !isZonal ? undefined : cloud.instances.get(vnic.instanceId)
  return {
    ...common(record),
    id,
    subnetId,
    vnicId: vnicId ?? null,
    ipAddress: cidr.address,
    cidrPrefixLength: cidr.prefixLength === 32 ? null : cidr.prefixLength,
    isPrimary,
    ipState: vnicId === undefined ? 'AVAILABLE' : 'ASSIGNED',
    lifetime,
    hostnameLabel: hostnameLabel ?? null,
    availabilityDomain: instance?.availabilityDomain ?? null,
  }
}

export function wireSubnet(record: SubnetRecord): Json {
  const { id, vcnId, cidrs, routerIp, routerMac, lifecycleState, availabilityDomain } = record
  return {
    ...common(record),
    id,
    vcnId,
    cidrBlock: cidrs.map(formatCidr)[0],
    ipv4CidrBlocks: cidrs.map(formatCidr),
    virtualRouterIp: routerIp,
    virtualRouterMac: routerMac.toUpperCase(),
    lifecycleState,
    availabilityDomain: availabilityDomain ?? null,
    routeTableId: defaultOf('routetable', vcnId),
    securityListIds: [defaultOf('securitylist', vcnId)],
    prohibitPublicIpOnVnic: true,
  }
}

export function wireVcn(record: VcnRecord): Json {
  const { id, cidrs } = record
  return {
    ...common(record),
    id,
    cidrBlock: cidrs.map(formatCidr)[0],
    cidrBlocks: cidrs.map(formatCidr),
    lifecycleState: 'AVAILABLE',
    defaultRouteTableId: defaultOf('routetable', id),
    defaultSecurityListId: defaultOf('securitylist', id),
    defaultDhcpOptionsId: defaultOf('dhcpoptions', id),
  }
}

export function wireNsg(record: NsgRecord): Json {
  return { ...common(record), id: record.id, vcnId: record.vcnId, lifecycleState: 'AVAILABLE' }
}

export function wireUtilisation(cloud: CloudModel, subnet: SubnetRecord): Json {
  const usage = cloud.space(subnet.id).usage()
  return {
    count: usage.length,
    compartmentId: subnet.compartmentId,
    lastUpdatedTimestamp: new Date(cloud.scheduler.nowMs()).toISOString(),
    ipInventoryCidrUtilizationSummary: usage.map(({ cidr, used }) => ({
      cidr: formatCidr(cidr),
      utilization: (100 * used) / cidrSize(cidr),
      addressType: 'Private_IPv4',
    })),
  }
}

function common(record: Pick<VcnRecord, 'compartmentId' | 'displayName' | 'tags' | 'createdAtMs'>): Json & {
  readonly compartmentId: unknown
  readonly displayName: unknown
  readonly timeCreated: unknown
} {
  return {
    compartmentId: record.compartmentId,
    displayName: record.displayName,
    timeCreated: new Date(record.createdAtMs).toISOString(),
    freeformTags: record.tags,
    definedTags: {},
  }
}

function defaultOf(kind: string, vcnId: VcnRecord['id']): string {
  return `ocid1.${kind}.oc1.lab.${uniquePart(vcnId)}`
}
