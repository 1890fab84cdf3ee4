import { err, ok, type Result } from '../base/result.ts'
import type { VnicId } from '../base/vnic.ts'

declare const ocidKind: unique symbol

/** An Oracle Cloud identifier (`ocid1.<kind>.<realm>.[region].<unique>`) of one kind of resource. */
export type Ocid<Kind extends OcidKind> = string & { readonly [ocidKind]: Kind }

export type InstanceOcid = Ocid<'instance'>
/** Also fits wherever a VNIC of any origin does. */
export type VnicOcid = Ocid<'vnic'> & VnicId
export type VnicAttachmentOcid = Ocid<'vnicattachment'>
export type SubnetOcid = Ocid<'subnet'>
export type VcnOcid = Ocid<'vcn'>
export type PrivateIpOcid = Ocid<'privateip'>
export type NsgOcid = Ocid<'networksecuritygroup'>
/** A compartment, or the tenancy itself, which is its root compartment. */
export type CompartmentOcid = Ocid<'compartment'>

export type OcidKind =
  'instance' | 'vnic' | 'vnicattachment' | 'subnet' | 'vcn' | 'privateip' | 'networksecuritygroup' | 'compartment'

type OcidOf<Kind extends OcidKind> = Kind extends 'vnic' ? VnicOcid : Ocid<Kind>

// ocid1.<resource type>.<realm>.[region][.future use].<unique id>: realm and unique part are never empty, the region
// is for resources that belong to none, such as compartments ("Resource Identifiers" in Oracle's documentation).
const ocidPattern = /^ocid1\.([a-z0-9]+)\.([a-z0-9]+)\.([a-z0-9-]*)\.(?:[a-z0-9-]*\.)?([A-Za-z0-9_-]+)$/

const anOcid: Readonly<Record<OcidKind, string>> = {
  instance: 'an instance',
  vnic: 'a VNIC',
  vnicattachment: 'a VNIC attachment',
  subnet: 'a subnet',
  vcn: 'a VCN',
  privateip: 'a private IP',
  networksecuritygroup: 'a network security group',
  compartment: 'a compartment or tenancy',
}

export const parseInstanceOcid = parserOf('instance')
export const parseVnicOcid = parserOf('vnic')
export const parseVnicAttachmentOcid = parserOf('vnicattachment')
export const parseSubnetOcid = parserOf('subnet')
export const parseVcnOcid = parserOf('vcn')
export const parsePrivateIpOcid = parserOf('privateip')
export const parseNsgOcid = parserOf('networksecuritygroup')
export const parseCompartmentOcid = parserOf('compartment')

/** The last dot-segment: what a NativePodNetwork of this instance is named. */
export function uniquePart(ocid: Ocid<OcidKind>): string {
  return ocid.slice(ocid.lastIndexOf('.') + 1)
}

function parserOf<Kind extends OcidKind>(kind: Kind): (text: string) => Result<OcidOf<Kind>, string> {
  return (text) => {
    const found = ocidPattern.exec(text)?.[1]
    if (found === kind || (kind === 'compartment' && found === 'tenancy')) return ok(text as OcidOf<Kind>)
    const what = found === undefined ? 'is not an OCID' : `is the OCID of a ${found}`
    return err(`${JSON.stringify(text)} ${what}; expected ${anOcid[kind]}, such as ocid1.${kind}.${example(kind)}`)
  }
}

function example(kind: OcidKind): string {
  return kind === 'compartment' ? 'oc1..aaaa' : 'oc1.iad.aaaa'
}
