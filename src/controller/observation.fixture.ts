// A node as the cloud shows it, and its wish, with every detail that a test does not care for filled in.
import { type Ipv4Cidr, parseIpv4Cidr } from '../base/cidr.ts'
import { type Ipv4, ipv4FromNumber, ipv4ToNumber, parseIpv4 } from '../base/ip.ts'
import { parseMac } from '../base/mac.ts'
import { unwrap } from '../base/result.ts'
import type { AddressRelease, ReleaseState } from '../kube/native-pod-network-status.ts'
import type { CloudVnic, Instance, PrivateIp, Subnet, VnicAttachment } from '../oci/core-services.ts'
import {
  parseCompartmentOcid,
  parseInstanceOcid,
  parseNsgOcid,
  parsePrivateIpOcid,
  parseSubnetOcid,
  parseVcnOcid,
  parseVnicAttachmentOcid,
  parseVnicOcid,
} from '../oci/ocid.ts'
import type { Demand, KnownLimits, PlanInput } from './node-plan.ts'
import type { AddressWish, NodeWish, VnicWish } from './node-wish.ts'
import type { NodeObservation, ObservedVnic } from './observation.ts'

export const cidr = (text: string): Ipv4Cidr => unwrap(parseIpv4Cidr(text))
export const ip = (text: string): Ipv4 => unwrap(parseIpv4(text))

export const instanceId = (name = 'worker') => unwrap(parseInstanceOcid(`ocid1.instance.oc1.iad.${name}`))
export const subnetId = (name = 'pods') => unwrap(parseSubnetOcid(`ocid1.subnet.oc1.iad.${name}`))
export const vnicId = (name = '1') => unwrap(parseVnicOcid(`ocid1.vnic.oc1.iad.${name}`))
export const attachmentId = (name = '1') => unwrap(parseVnicAttachmentOcid(`ocid1.vnicattachment.oc1.iad.${name}`))
export const privateIpId = (name: string) => unwrap(parsePrivateIpOcid(`ocid1.privateip.oc1.iad.${name}`))
export const nsgId = (name = 'one') => unwrap(parseNsgOcid(`ocid1.networksecuritygroup.oc1.iad.${name}`))
export const vcnId = (name = 'vcn') => unwrap(parseVcnOcid(`ocid1.vcn.oc1.iad.${name}`))
export const compartmentId = (name = 'team') => unwrap(parseCompartmentOcid(`ocid1.compartment.oc1..${name}`))

export function instance(over: Partial<Instance> = {}): Instance {
  return {
    id: instanceId(),
    compartmentId: compartmentId(),
    availabilityDomain: 'AD-1',
    displayName: 'worker',
    lifecycleState: 'RUNNING',
    shape: 'VM.Standard.E5.Flex',
    shapeConfig: { ocpus: 4, maxVnicAttachments: 4 },
    metadata: {},
    tags: {},
    ...over,
  }
}

export function subnet(name = 'pods', over: Partial<Subnet> = {}): Subnet {
  return {
    id: subnetId(name),
    vcnId: vcnId(),
    compartmentId: compartmentId(),
    displayName: name,
    lifecycleState: 'AVAILABLE',
    ipv4Cidrs: [cidr('10.0.4.0/22')],
    virtualRouterIp: ip('10.0.4.1'),
    virtualRouterMac: unwrap(parseMac('00:00:17:00:00:01')),
    ...over,
  }
}

export function attachment(name = '1', over: Partial<VnicAttachment> = {}): VnicAttachment {
  return {
    id: attachmentId(name),
    instanceId: instanceId(),
    compartmentId: compartmentId(),
    lifecycleState: 'ATTACHED',
    vnicId: vnicId(name),
    ...over,
  }
}

export function cloudVnic(name = '1', over: Partial<CloudVnic> = {}): CloudVnic {
  return {
    id: vnicId(name),
    compartmentId: compartmentId(),
    lifecycleState: 'AVAILABLE',
    mac: unwrap(parseMac('02:00:17:00:00:01')),
    isPrimary: false,
    subnetId: subnetId(),
    privateIp: ip('10.0.4.2'),
    nsgIds: [],
    skipSourceDestCheck: true,
    tags: {},
    ...over,
  }
}

/** `text`: an address, or a block such as 10.0.4.16/28. */
export function privateIp(text: string, over: Partial<PrivateIp> = {}): PrivateIp {
  return {
    id: privateIpId(text.replaceAll(/[./]/g, '-')),
    cidr: cidr(text.includes('/') ? text : `${text}/32`),
    isPrimary: false,
    subnetId: subnetId(),
    tags: {},
    ...over,
  }
}

export interface VnicParts {
  readonly subnet?: Subnet
  readonly vnic?: Partial<CloudVnic>
  readonly attachment?: Partial<VnicAttachment>
  /** As for `privateIp`. */
  readonly objects?: readonly string[]
}

export function observedVnic(name = '1', parts: VnicParts = {}): ObservedVnic {
  const { subnet: home = subnet() } = parts
  const objects = (parts.objects ?? []).map((text) => privateIp(text, { subnetId: home.id, vnicId: vnicId(name) }))
  return {
    attachment: attachment(name, { subnetId: home.id, ...parts.attachment }),
    vnic: cloudVnic(name, { subnetId: home.id, ...parts.vnic }),
    subnet: home,
    objects,
    foreignObjects: 0,
  }
}

/** The primary VNIC's attachment is there beside those of `vnics`. */
export function observation(vnics: readonly ObservedVnic[], over: Partial<NodeObservation> = {}): NodeObservation {
  const attachments = [attachment('primary'), ...vnics.map((one) => one.attachment)]
  const attachmentIds = attachments.map(({ id }) => id)
  return { instance: instance(), vnicLimit: 4, attachments, attachmentIds, vnics, ...over }
}

export function vnicWish(over: Partial<VnicWish> = {}): VnicWish {
  return {
    subnetIds: [subnetId()],
    nsgIds: [],
    skipSourceDestCheck: true,
    objects: 64,
    addresses: Infinity,
    tags: {},
    ...over,
  }
}

export interface WishParts {
  readonly maxPodCount?: number
  readonly addresses?: Partial<AddressWish>
  readonly template?: Partial<VnicWish>
  readonly listed?: readonly VnicWish[]
}

export function nodeWish({ maxPodCount = 110, addresses, template, listed }: WishParts = {}): NodeWish {
  return {
    instanceId: instanceId(),
    maxPodCount,
    vnics: listed === undefined ? { kind: 'asNeeded', template: vnicWish(template) } : { kind: 'listed', list: listed },
    wantsIpv6: false,
    addresses: { mode: 'Elastic', minimum: 0, warm: 0, maximum: maxPodCount, preferBlocks: false, ...addresses },
  }
}

export const noLimits: KnownLimits = {
  subnetsWithoutBlocks: new Set(),
  subnetsWithoutAddresses: new Set(),
  fullVnics: new Set(),
  instanceFull: false,
}

export function demand(used: number, over: Partial<Demand> = {}): Demand {
  return { used, pods: 0, podAddresses: new Set(), ...over }
}

export function planInput(observed: NodeObservation, wish: NodeWish, over: Partial<PlanInput> = {}): PlanInput {
  const lists = { releases: [], reluctant: new Set<never>(), mayMark: false }
  return { wish, observed, demand: demand(0), ...lists, limits: noLimits, ...over }
}

/** Entries for `count` addresses from `first` on. */
export function releases(
  state: ReleaseState,
  first: string,
  count = 1,
  vnic: AddressRelease['vnicId'] = vnicId(),
): readonly AddressRelease[] {
  const start = ipv4ToNumber(ip(first))
  return Array.from({ length: count }, (_, at) => ({ address: ipv4FromNumber(start + at), vnicId: vnic, state }))
}
