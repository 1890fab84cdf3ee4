import * as z from 'zod'
import type { Result } from '../base/result.ts'
import { type FieldError, parseWith } from '../base/schema.ts'
import { withoutUndefined } from './object.ts'

/** What a node shall have. Written by our controller, by OKE's node pools, by Karpenter's provider for OCI, or by hand. */
export interface NpnSpec {
  /** The instance's OCID (`id` on the wire), not yet checked to be one. */
  readonly instanceId: string
  readonly maxPodCount?: number
  /** Empty only when secondaryVnics names the subnets. */
  readonly podSubnetIds: readonly string[]
  readonly networkSecurityGroupIds: readonly string[]
  /** In order of preference; IPv4 alone when the writer did not say. */
  readonly ipFamilies: readonly IpFamilyName[]
  /** Karpenter's form: each VNIC described by itself. Empty in the classic form. */
  readonly secondaryVnics: readonly SecondaryVnicSpec[]
  /** Ours: how many addresses the node holds. Absent: the controller's defaults. */
  readonly elastic?: ElasticSpec
}

export const ipFamilyNames = ['IPv4', 'IPv6'] as const
export type IpFamilyName = (typeof ipFamilyNames)[number]

export interface SecondaryVnicSpec {
  readonly displayName?: string
  /** The physical card, on bare-metal shapes. */
  readonly nicIndex?: number
  readonly subnetId?: string
  /** Absent: the resource's networkSecurityGroupIds. */
  readonly nsgIds?: readonly string[]
  /** Addresses for pods on this VNIC. */
  readonly ipCount?: number
  readonly skipSourceDestCheck?: boolean
  readonly assignPublicIp?: boolean
  readonly assignIpv6Ip?: boolean
  readonly freeformTags: Readonly<Record<string, string>>
  readonly definedTags: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  readonly securityAttributes: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  /** Which pods may use the VNIC (OKE's application resources). */
  readonly applicationResources: readonly string[]
}

export const elasticModes = ['Elastic', 'Compatible'] as const
/** Elastic: in use plus a warm margin. Compatible: maxPodCount addresses up front, as Oracle's controller does. */
export type ElasticMode = (typeof elasticModes)[number]

// A type, not an interface: it is also sent as it is, and only types fit JsonObject.
export type ElasticSpec = {
  readonly mode?: ElasticMode
  readonly minimumAddresses?: number
  /** Free addresses to hold beyond those in use. */
  readonly warmAddresses?: number
  readonly maximumAddresses?: number
  /** Take /28 blocks where the subnet has them. */
  readonly preferBlocks?: boolean
}

/** Also in deploy/crd.yaml; native-pod-network-crd.test.ts compares the two. */
export const npnLimits = {
  /** 24 VNICs of 64 secondary addresses each (reference: OCI service limits). */
  maxPodCount: 1536,
  podSubnetIds: 5,
  networkSecurityGroupIds: 5,
  /** As Karpenter's CRD has it. */
  secondaryVnics: 64,
  /** Secondary IPv4 objects of one VNIC. */
  ipCount: 64,
  addresses: 16_384,
  idCharacters: 255,
} as const

const wholeNumber = (from: number, to: number): z.ZodNumber => {
  const sentence = `must be a whole number from ${from} to ${to}`
  return z.number(sentence).int(sentence).min(from, sentence).max(to, sentence)
}

const id = z.string('must be text').min(1, 'must not be empty').max(npnLimits.idCharacters)

// Karpenter's Go types have no omitempty: what is unset arrives as null.
const idList = (most: number, of: string): z.ZodType<readonly string[]> =>
  z
    .array(id, `must be a list of ${of}`)
    .max(most, `must name at most ${most} ${of}`)
    .nullish()
    .transform((list) => list ?? [])

const ipFamilies: z.ZodType<readonly IpFamilyName[]> = z
  .array(z.enum(ipFamilyNames, 'must be IPv4 or IPv6'), 'must be a list of IPv4 and IPv6')
  .max(2, 'must name at most 2 families')
  .nullish()
  .transform((list) => (list === null || list === undefined || list.length === 0 ? ['IPv4'] : [...new Set(list)]))

const freeformTags = z.record(z.string(), z.string()).nullish()
const nested = z.record(z.string(), z.record(z.string(), z.unknown())).nullish()
// Inferred, so that zod still knows that the field may be absent.
const optionalNumber = (from: number, to: number) =>
  wholeNumber(from, to)
    .nullish()
    .transform((value) => value ?? undefined)
const optionalFlag = z
  .boolean('must be true or false')
  .nullish()
  .transform((value) => value ?? undefined)
const optionalText = z
  .string('must be text')
  .nullish()
  .transform((value) => value ?? undefined)

const createVnicDetails = z.object({
  displayName: optionalText,
  subnetId: id.nullish(),
  nsgIds: z.array(id).max(npnLimits.networkSecurityGroupIds).nullish(),
  ipCount: optionalNumber(1, npnLimits.ipCount),
  skipSourceDestCheck: optionalFlag,
  assignPublicIp: optionalFlag,
  assignIpv6Ip: optionalFlag,
  freeformTags,
  definedTags: nested,
  securityAttributes: nested,
  applicationResources: z.array(z.string()).nullish(),
})

const secondaryVnic: z.ZodType<SecondaryVnicSpec> = z
  .object({
    displayName: optionalText,
    nicIndex: optionalNumber(0, 31),
    createVnicDetails: createVnicDetails.prefault({}),
  })
  .transform(({ displayName, nicIndex, createVnicDetails: details }) =>
    withoutUndefined({
      displayName: details.displayName ?? displayName,
      nicIndex,
      subnetId: details.subnetId ?? undefined,
      nsgIds: details.nsgIds ?? undefined,
      ipCount: details.ipCount,
      skipSourceDestCheck: details.skipSourceDestCheck,
      assignPublicIp: details.assignPublicIp,
      assignIpv6Ip: details.assignIpv6Ip,
      freeformTags: details.freeformTags ?? {},
      definedTags: details.definedTags ?? {},
      securityAttributes: details.securityAttributes ?? {},
      applicationResources: details.applicationResources ?? [],
    }),
  )

const elastic: z.ZodType<ElasticSpec> = z
  .object({
    mode: z.enum(elasticModes, 'must be Elastic or Compatible').optional(),
    minimumAddresses: wholeNumber(0, npnLimits.addresses).optional(),
    warmAddresses: wholeNumber(0, npnLimits.addresses).optional(),
    maximumAddresses: wholeNumber(1, npnLimits.addresses).optional(),
    preferBlocks: z.boolean('must be true or false').optional(),
  })
  .transform(withoutUndefined)
  .superRefine(({ minimumAddresses = 0, maximumAddresses = Infinity }, context) => {
    if (minimumAddresses <= maximumAddresses) return
    const message = `must be at most maximumAddresses, ${maximumAddresses}`
    context.addIssue({ code: 'custom', path: ['minimumAddresses'], message, input: minimumAddresses })
  })

const spec: z.ZodType<NpnSpec> = z
  .object({
    id,
    maxPodCount: optionalNumber(1, npnLimits.maxPodCount),
    podSubnetIds: idList(npnLimits.podSubnetIds, 'subnets'),
    networkSecurityGroupIds: idList(npnLimits.networkSecurityGroupIds, 'network security groups'),
    ipFamilies,
    secondaryVnics: z
      .array(secondaryVnic)
      .max(npnLimits.secondaryVnics, `must describe at most ${npnLimits.secondaryVnics} VNICs`)
      .nullish()
      .transform((list) => list ?? []),
    elastic: elastic.nullish(),
  })
  .transform(({ id: instanceId, elastic: wishes, ...rest }) =>
    withoutUndefined({ instanceId, ...rest, elastic: wishes ?? undefined }),
  )
  .superRefine(({ podSubnetIds, secondaryVnics }, context) => {
    if (podSubnetIds.length > 0 || secondaryVnics.length > 0) return
    const message = `must name 1 to ${npnLimits.podSubnetIds} subnets (or secondaryVnics describe the VNICs)`
    context.addIssue({ code: 'custom', path: ['podSubnetIds'], message, input: podSubnetIds })
  })

/** `raw` is the object's `spec`; fields of errors begin there. */
export function parseNpnSpec(raw: unknown): Result<NpnSpec, readonly FieldError[]> {
  return parseWith(spec, raw)
}
