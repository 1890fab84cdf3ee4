import { err, ok, type Result } from '../base/result.ts'
import type { FieldError } from '../base/schema.ts'
import type { ElasticMode, NpnSpec, SecondaryVnicSpec } from '../kube/native-pod-network-spec.ts'
import { npnLimits } from '../kube/native-pod-network-spec.ts'
import {
  type InstanceOcid,
  type NsgOcid,
  parseInstanceOcid,
  parseNsgOcid,
  parseSubnetOcid,
  type SubnetOcid,
} from '../oci/ocid.ts'

/** What a resource does not say itself. */
export interface NodeDefaults {
  readonly podSubnetIds: readonly string[]
  readonly networkSecurityGroupIds: readonly string[]
  readonly maxPodCount: number
  readonly elastic: {
    readonly mode: ElasticMode
    readonly minimumAddresses: number
    readonly warmAddresses: number
    readonly maximumAddresses?: number
    readonly preferBlocks?: boolean
  }
}

/** What a node shall have, every default filled in and every OCID checked. */
export interface NodeWish {
  readonly instanceId: InstanceOcid
  readonly vnics: VnicWishes
  readonly maxPodCount: number
  readonly addresses: AddressWish
  /** Asked for, and not to be had yet. */
  readonly wantsIpv6: boolean
}

export interface AddressWish {
  readonly mode: ElasticMode
  readonly minimum: number
  readonly warm: number
  readonly maximum: number
  readonly preferBlocks: boolean
}

export type VnicWishes =
  /** As many like this one as the addresses need. */
  | { readonly kind: 'asNeeded'; readonly template: VnicWish }
  /** Exactly these, as Karpenter's provider describes them one by one. */
  | { readonly kind: 'listed'; readonly list: readonly VnicWish[] }

export interface VnicWish {
  /** In order of preference. */
  readonly subnetIds: readonly SubnetOcid[]
  readonly nsgIds: readonly NsgOcid[]
  readonly displayName?: string
  readonly nicIndex?: number
  readonly skipSourceDestCheck: boolean
  /** Most private IP objects on it, its own address not counted. */
  readonly objects: number
  /** Most addresses for pods on it; a block is one object and many of them. */
  readonly addresses: number
  readonly tags: Readonly<Record<string, string>>
}

/** The fields of errors begin with `spec`. */
export function makeNodeWish(spec: NpnSpec, defaults: NodeDefaults): Result<NodeWish, readonly FieldError[]> {
  const errors: FieldError[] = []
  const check = <T>(field: string, parsed: Result<T, string>): T | undefined => {
    if (parsed.ok) return parsed.value
    errors.push({ field: `spec.${field}`, problem: parsed.error })
    return undefined
  }
  const instanceId = check('id', parseInstanceOcid(spec.instanceId))
  const subnetIds = spec.podSubnetIds.map((id, at) => check(`podSubnetIds[${at}]`, parseSubnetOcid(id)))
  const nsgIds = spec.networkSecurityGroupIds.map((id, at) => check(`networkSecurityGroupIds[${at}]`, parseNsgOcid(id)))
  const template: VnicWish = {
    subnetIds: present(subnetIds),
    nsgIds: present(nsgIds),
    // Pods' packets are from addresses other than the VNIC's own; Oracle's controller attaches so, too.
    skipSourceDestCheck: true,
    objects: npnLimits.ipCount,
    addresses: Infinity,
    tags: {},
  }
  const list = spec.secondaryVnics.map((one, at) => listedVnic(one, template, `secondaryVnics[${at}]`, check))
  for (const [at, { subnetIds: named }] of list.entries()) {
    if (named.length > 0 || errors.length > 0) continue
    const problem = 'is required: it names no subnet, and neither does spec.podSubnetIds'
    errors.push({ field: `spec.secondaryVnics[${at}].createVnicDetails.subnetId`, problem })
  }
  if (instanceId === undefined || errors.length > 0) return err(errors)
  const maxPodCount = spec.maxPodCount ?? defaults.maxPodCount
  return ok({
    instanceId,
    vnics: list.length > 0 ? { kind: 'listed', list } : { kind: 'asNeeded', template },
    maxPodCount,
    addresses: addressWish(spec, maxPodCount, defaults),
    wantsIpv6: spec.ipFamilies.includes('IPv6'),
  })
}

function addressWish({ elastic = {} }: NpnSpec, maxPodCount: number, { elastic: given }: NodeDefaults): AddressWish {
  const mode = elastic.mode ?? given.mode
  const warm = elastic.warmAddresses ?? given.warmAddresses
  // A node full of pods needs a few more than it has pods: those of the last ones that went still cool down.
  const maximum = elastic.maximumAddresses ?? given.maximumAddresses ?? maxPodCount + warm
  return {
    mode,
    minimum: Math.min(elastic.minimumAddresses ?? given.minimumAddresses, maximum),
    warm,
    maximum,
    // Compatible is what Oracle's controller does: single addresses, as many as there are pods.
    preferBlocks: elastic.preferBlocks ?? given.preferBlocks ?? mode === 'Elastic',
  }
}

function listedVnic(
  one: SecondaryVnicSpec,
  template: VnicWish,
  at: string,
  check: <T>(field: string, parsed: Result<T, string>) => T | undefined,
): VnicWish {
  const { subnetId, nsgIds, displayName, nicIndex } = one
  const subnet =
    subnetId === undefined ? undefined : check(`${at}.createVnicDetails.subnetId`, parseSubnetOcid(subnetId))
  const groups = nsgIds?.map((id, index) => check(`${at}.createVnicDetails.nsgIds[${index}]`, parseNsgOcid(id)))
  return {
    subnetIds: subnetId === undefined ? template.subnetIds : present([subnet]),
    nsgIds: groups === undefined ? template.nsgIds : present(groups),
    skipSourceDestCheck: one.skipSourceDestCheck ?? true,
    objects: template.objects,
    addresses: one.ipCount ?? template.addresses,
    tags: one.freeformTags,
    ...(displayName !== undefined && { displayName }),
    ...(nicIndex !== undefined && { nicIndex }),
  }
}

function present<T>(values: readonly (T | undefined)[]): readonly T[] {
  return values.filter((value) => value !== undefined)
}
