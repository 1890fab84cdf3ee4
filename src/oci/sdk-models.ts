import * as z from 'zod'
import { type Ipv4Cidr, parseIpv4Cidr } from '../base/cidr.ts'
import { parseIpv4 } from '../base/ip.ts'
import { parseMac } from '../base/mac.ts'
import { viaParser } from '../base/schema.ts'
import type {
  CidrUtilisation,
  CloudVnic,
  Instance,
  NetworkSecurityGroup,
  PrivateIp,
  Shape,
  Subnet,
  Vcn,
  VnicAttachment,
} from './core-services.ts'
import {
  parseCompartmentOcid,
  parseInstanceOcid,
  parseNsgOcid,
  parsePrivateIpOcid,
  parseSubnetOcid,
  parseVcnOcid,
  parseVnicAttachmentOcid,
  parseVnicOcid,
  type VnicOcid,
} from './ocid.ts'

// What the API answers, as far as the project looks at it. Unknown fields are left alone: Oracle adds some all the
// time. Fields that Oracle calls optional may be null as well as missing.

const address = z.string().transform(viaParser(parseIpv4))
const cidr = z.string().transform(viaParser(parseIpv4Cidr))
const mac = z.string().transform(viaParser(parseMac))
const instanceId = z.string().transform(viaParser(parseInstanceOcid))
const vnicId = z.string().transform(viaParser(parseVnicOcid))
const subnetId = z.string().transform(viaParser(parseSubnetOcid))
const vcnId = z.string().transform(viaParser(parseVcnOcid))
const nsgId = z.string().transform(viaParser(parseNsgOcid))
const compartmentId = z.string().transform(viaParser(parseCompartmentOcid))
const tags = z
  .record(z.string(), z.string())
  .nullish()
  .transform((found) => found ?? {})

export const instanceSchema: z.ZodType<Instance> = z
  .object({
    id: instanceId,
    compartmentId,
    availabilityDomain: z.string(),
    displayName: z.string().nullish(),
    lifecycleState: z.enum([
      'MOVING',
      'PROVISIONING',
      'RUNNING',
      'STARTING',
      'STOPPING',
      'STOPPED',
      'CREATING_IMAGE',
      'TERMINATING',
      'TERMINATED',
    ]),
    shape: z.string(),
    shapeConfig: z.object({ ocpus: z.number().nullish(), maxVnicAttachments: z.number().nullish() }).nullish(),
    metadata: z.record(z.string(), z.string()).nullish(),
    freeformTags: tags,
  })
  .transform(({ freeformTags, shapeConfig, metadata, displayName, ...rest }) => ({
    ...rest,
    displayName: displayName ?? '',
    shapeConfig: known(shapeConfig ?? {}),
    metadata: metadata ?? {},
    tags: freeformTags,
  }))

export const shapeSchema: z.ZodType<Shape> = z
  .object({
    shape: z.string(),
    maxVnicAttachments: z.number().nullish(),
    maxVnicAttachmentOptions: z
      .object({ min: z.number().nullish(), max: z.number().nullish(), defaultPerOcpu: z.number().nullish() })
      .transform(known)
      .nullish(),
  })
  .transform(({ shape, ...rest }) => ({ name: shape, ...known(rest) }))

export const vnicAttachmentSchema: z.ZodType<VnicAttachment> = z
  .object({
    id: z.string().transform(viaParser(parseVnicAttachmentOcid)),
    instanceId,
    compartmentId,
    lifecycleState: z.enum(['ATTACHING', 'ATTACHED', 'DETACHING', 'DETACHED']),
    displayName: z.string().nullish(),
    subnetId: subnetId.nullish(),
    nicIndex: z.number().nullish(),
    vnicId: vnicId.nullish(),
    vlanTag: z.number().nullish(),
  })
  .transform(known)

export const vnicSchema: z.ZodType<CloudVnic> = z
  .object({
    id: vnicId,
    compartmentId,
    lifecycleState: z.enum(['PROVISIONING', 'AVAILABLE', 'TERMINATING', 'TERMINATED']),
    displayName: z.string().nullish(),
    macAddress: mac.nullish(),
    isPrimary: z.boolean().nullish(),
    subnetId: subnetId.nullish(),
    privateIp: address.nullish(),
    nsgIds: z.array(nsgId).nullish(),
    skipSourceDestCheck: z.boolean().nullish(),
    freeformTags: tags,
  })
  .transform(({ macAddress, isPrimary, nsgIds, skipSourceDestCheck, freeformTags, ...rest }) => ({
    ...known({ ...rest, mac: macAddress }),
    isPrimary: isPrimary ?? false,
    nsgIds: nsgIds ?? [],
    skipSourceDestCheck: skipSourceDestCheck ?? false,
    tags: freeformTags,
  }))

export const privateIpSchema: z.ZodType<PrivateIp> = z
  .object({
    id: z.string().transform(viaParser(parsePrivateIpOcid)),
    ipAddress: address,
    cidrPrefixLength: z.int().nullish(),
    isPrimary: z.boolean().nullish(),
    subnetId,
    vnicId: vnicId.nullish(),
    displayName: z.string().nullish(),
    freeformTags: tags,
  })
  .transform(({ ipAddress, cidrPrefixLength, isPrimary, freeformTags, ...rest }, context) => ({
    ...known(rest),
    // Through the parser: the first address of a block has no host bits, and code elsewhere relies on it.
    cidr: viaParser(parseIpv4Cidr)(`${ipAddress}/${cidrPrefixLength ?? 32}`, context),
    isPrimary: isPrimary ?? false,
    tags: freeformTags,
  }))

export const subnetSchema: z.ZodType<Subnet> = z
  .object({
    id: subnetId,
    vcnId,
    compartmentId,
    displayName: z.string().nullish(),
    lifecycleState: z.enum(['PROVISIONING', 'AVAILABLE', 'TERMINATING', 'TERMINATED', 'UPDATING']),
    cidrBlock: cidr.nullish(),
    ipv4CidrBlocks: z.array(cidr).nullish(),
    virtualRouterIp: address,
    virtualRouterMac: mac,
    availabilityDomain: z.string().nullish(),
  })
  .transform(({ cidrBlock, ipv4CidrBlocks, ...rest }) => ({
    ...known(rest),
    ipv4Cidrs: blocks(ipv4CidrBlocks, cidrBlock),
  }))

export const vcnSchema: z.ZodType<Vcn> = z
  .object({
    id: vcnId,
    compartmentId,
    displayName: z.string().nullish(),
    cidrBlock: cidr.nullish(),
    cidrBlocks: z.array(cidr).nullish(),
  })
  .transform(({ cidrBlock, cidrBlocks, ...rest }) => ({ ...known(rest), ipv4Cidrs: blocks(cidrBlocks, cidrBlock) }))

export const cidrUtilisationSchema: z.ZodType<readonly CidrUtilisation[]> = z
  .object({
    ipInventoryCidrUtilizationSummary: z
      .array(z.object({ cidr: z.string(), utilization: z.number(), addressType: z.string().nullish() }))
      .nullish(),
  })
  .transform(({ ipInventoryCidrUtilizationSummary: summaries }, context) =>
    (summaries ?? [])
      .filter((summary) => !summary.cidr.includes(':'))
      .map((summary) => ({
        cidr: viaParser(parseIpv4Cidr)(summary.cidr, context),
        usedPercent: summary.utilization,
      })),
  )

export const nsgSchema: z.ZodType<NetworkSecurityGroup> = z
  .object({ id: nsgId, vcnId, displayName: z.string().nullish() })
  .transform(known)

export const nsgVnicSchema: z.ZodType<VnicOcid> = z.object({ vnicId }).transform((member) => member.vnicId)

/** Without the fields that are null or missing: our own types have them present or absent, nothing else. */
function known<T extends object>(fields: T): Known<T> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== null && value !== undefined),
  ) as Known<T>
}

type Known<T> = { [K in keyof T as null extends T[K] ? never : undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as null extends T[K] ? K : undefined extends T[K] ? K : never]?: NonNullable<T[K]>
}

// The list has come later than the single block, and holds it too.
function blocks(all: readonly Ipv4Cidr[] | null | undefined, first: Ipv4Cidr | null | undefined): readonly Ipv4Cidr[] {
  if (all !== null && all !== undefined && all.length > 0) return all
  return first === null || first === undefined ? [] : [first]
}
