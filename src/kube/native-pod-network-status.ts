import * as z from 'zod'
import { formatCidr, type Ipv4Cidr, parseIpv4Cidr } from '../base/cidr.ts'
import { type Ipv4, parseIpv4 } from '../base/ip.ts'
import { type Mac, parseMac } from '../base/mac.ts'
import type { Result } from '../base/result.ts'
import { type FieldError, parseWith, viaParser } from '../base/schema.ts'
import type { VnicId } from '../base/vnic.ts'
import { type JsonObject, withoutUndefined } from './object.ts'

/** What a node has. Written by the controller; `elastic.releases` states and `usedAddresses` by the node's agent. */
export interface NpnStatus {
  /** Absent until a controller has looked at the resource. */
  readonly state?: NpnState
  readonly reason?: string
  readonly vnics: readonly NpnVnic[]
  readonly elastic?: ElasticStatus
  readonly conditions: readonly Condition[]
}

export const npnStates = ['IN_PROGRESS', 'SUCCESS', 'BACKOFF'] as const
export type NpnState = (typeof npnStates)[number]

/** The reasons Oracle's controller writes; readers must not rely on seeing no other. */
export type NpnReason =
  | 'IN_PROGRESS'
  | 'COMPLETED'
  | `FailedTo${
      | 'GetInstance'
      | 'GetRunningInstance'
      | 'GetVNIC'
      | 'GetPrimaryVNIC'
      | 'AttachVNIC'
      | 'ListPrivateIP'
      | 'AllocatePrivateIP'
      | 'CreatePrivateIP'
      | 'GetCR'
      | 'GetV1Node'}`

/** One secondary VNIC and the addresses the VCN delivers to it. */
export interface NpnVnic {
  readonly vnicId: VnicId
  readonly macAddress: Mac
  readonly routerIp: Ipv4
  readonly subnetCidr: Ipv4Cidr
  /** For pods; from `addresses` and from the newer `podAddresses[].v4`, each once. */
  readonly addresses: readonly Ipv4[]
  /** The VNIC's own private address. */
  readonly hostAddress?: Ipv4
  readonly nicIndex?: number
  readonly vlanTag?: number
}

// Types, not interfaces, where the value goes out as it is: only types fit JsonObject.
export type ElasticStatus = {
  /** Addresses on their way back to the subnet. */
  readonly releases: readonly AddressRelease[]
  /** By the agent: pods' addresses and those that still cool down. */
  readonly usedAddresses?: number
  /** By the controller: addresses the node has, and shall have. */
  readonly assignedAddresses?: number
  readonly wantedAddresses?: number
}

export type AddressRelease = {
  readonly address: Ipv4
  readonly vnicId: VnicId
  /** Marked by the controller: give it to no pod any more. Confirmed by the agent: no pod has it, no connection uses it. */
  readonly state: ReleaseState
}

export const releaseStates = ['Marked', 'Confirmed'] as const
export type ReleaseState = (typeof releaseStates)[number]

/** apimachinery meta/v1 Condition. */
export type Condition = {
  readonly type: string
  readonly status: 'True' | 'False' | 'Unknown'
  /** One CamelCase word. */
  readonly reason: string
  readonly message: string
  /** RFC 3339. */
  readonly lastTransitionTime: string
  readonly observedGeneration?: number
}

export const noStatus: NpnStatus = { vnics: [], conditions: [] }

const ipv4 = z.string('must be an IPv4 address').transform(viaParser(parseIpv4))
const vnicId = z
  .string('must be the VNIC’s OCID')
  .min(1, 'must be the VNIC’s OCID')
  .transform((text) => text as VnicId)

// Go writers without omitempty leave '' where there is nothing.
const absentWhenEmpty = <T>(parse: (text: string) => Result<T, string>, what: string) =>
  z
    .string(`must be ${what}`)
    .transform((text, context) => (text === '' ? undefined : viaParser(parse)(text, context)))
    .nullish()
    .transform((value) => value ?? undefined)

const optionalIpv4 = absentWhenEmpty(parseIpv4, 'an IPv4 address')
const optionalCidr = absentWhenEmpty(parseIpv4Cidr, 'an IPv4 block')

const ipv4Pairs = z
  .array(z.object({ v4: optionalIpv4 }))
  .nullish()
  .transform((pairs) => (pairs ?? []).flatMap(({ v4 }) => (v4 === undefined ? [] : [v4])))

const cidrPairs = z
  .array(z.object({ v4: optionalCidr }))
  .nullish()
  .transform((pairs) => (pairs ?? []).flatMap(({ v4 }) => (v4 === undefined ? [] : [v4])))

const optionalCount = (most: number): z.ZodType<number | undefined> => {
  const sentence = `must be a whole number from 0 to ${most}`
  return z
    .number(sentence)
    .int(sentence)
    .min(0, sentence)
    .max(most, sentence)
    .nullish()
    .transform((value) => value ?? undefined)
}

const vnic: z.ZodType<NpnVnic> = z
  .object({
    vnicId,
    macAddress: z.string('must be a MAC address').transform(viaParser(parseMac)),
    routerIp: optionalIpv4,
    routerIps: ipv4Pairs,
    addresses: z.array(ipv4, 'must be a list of IPv4 addresses').nullish(),
    podAddresses: ipv4Pairs,
    subnetCidr: optionalCidr,
    subnetCidrs: cidrPairs,
    hostAddress: optionalIpv4,
    hostAddresses: ipv4Pairs,
    nicIndex: optionalCount(31),
    vlanTag: optionalCount(4095),
  })
  .transform((wire, context) => {
    const routerIp = wire.routerIp ?? wire.routerIps[0]
    const subnetCidr = wire.subnetCidr ?? wire.subnetCidrs[0]
    const required = (path: string, example: string): void =>
      context.addIssue({ code: 'custom', path: [path], message: `is required: ${example}`, input: undefined })
    if (routerIp === undefined) required('routerIp', 'the subnet’s router, such as 10.0.4.1')
    if (subnetCidr === undefined) required('subnetCidr', 'the subnet’s block, such as 10.0.4.0/24')
    if (routerIp === undefined || subnetCidr === undefined) return z.NEVER
    return withoutUndefined({
      vnicId: wire.vnicId,
      macAddress: wire.macAddress,
      routerIp,
      subnetCidr,
      addresses: [...new Set([...(wire.addresses ?? []), ...wire.podAddresses])],
      hostAddress: wire.hostAddress ?? wire.hostAddresses[0],
      nicIndex: wire.nicIndex,
      vlanTag: wire.vlanTag,
    })
  })

const release: z.ZodType<AddressRelease> = z.object({
  address: ipv4,
  vnicId,
  state: z.enum(releaseStates, 'must be Marked or Confirmed'),
})

const addressCount = optionalCount(1_000_000)

const elastic: z.ZodType<ElasticStatus> = z
  .object({
    releases: z
      .array(release)
      .nullish()
      .transform((list) => list ?? []),
    usedAddresses: addressCount,
    assignedAddresses: addressCount,
    wantedAddresses: addressCount,
  })
  .transform(withoutUndefined)

const condition: z.ZodType<Condition> = z
  .object({
    type: z.string().min(1),
    status: z.enum(['True', 'False', 'Unknown'], 'must be True, False or Unknown'),
    reason: z.string().default(''),
    message: z.string().default(''),
    lastTransitionTime: z.string(),
    observedGeneration: z.number().int().min(0).optional(),
  })
  .transform(withoutUndefined)

const status: z.ZodType<NpnStatus> = z
  .object({
    state: z.enum(['', ...npnStates], `must be ${npnStates.join(', ')}`).nullish(),
    reason: z.string('must be text').nullish(),
    vnics: z.array(vnic, 'must be a list of VNICs').nullish(),
    elastic: elastic.nullish(),
    conditions: z.array(condition).nullish(),
  })
  .transform((wire) =>
    withoutUndefined({
      state: wire.state === '' ? undefined : (wire.state ?? undefined),
      reason: wire.reason ?? undefined,
      vnics: wire.vnics ?? [],
      elastic: wire.elastic ?? undefined,
      conditions: wire.conditions ?? [],
    }),
  )

/** `raw` is the object's `status`; absent is `noStatus`. Fields of errors begin there. */
export function parseNpnStatus(raw: unknown): Result<NpnStatus, readonly FieldError[]> {
  return parseWith(status, raw ?? {})
}

/** As it goes over the wire, in the classic fields that every reader knows. */
export function npnStatusToWire({ vnics, ...rest }: NpnStatus): JsonObject {
  return { ...rest, vnics: vnics.map(({ subnetCidr, ...vnic }) => ({ ...vnic, subnetCidr: formatCidr(subnetCidr) })) }
}
