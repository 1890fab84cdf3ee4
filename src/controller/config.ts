import * as z from 'zod'
import type { Result } from '../base/result.ts'
import { type FieldError, parseWith, viaParser } from '../base/schema.ts'
import { elasticModes, npnLimits } from '../kube/native-pod-network-spec.ts'
import { parseNsgOcid, parseSubnetOcid } from '../oci/ocid.ts'
import type { NodeDefaults } from './node-wish.ts'

/** The controller's configuration file. Everything but the cluster's id and the way to OCI has a default. */
export interface ControllerConfig {
  /** In the tag of every VNIC and address: resources of another cluster are never touched. */
  readonly cluster: string
  readonly oci: OciSettings
  /** Calls of one operation, all nodes together. */
  readonly rate: { readonly perSecond: number; readonly burst: number }
  readonly defaults: NodeDefaults
  /** How often a node at rest is compared with the cloud. */
  readonly resyncMs: number
  /** How long an excess of addresses lasts before it is given back. */
  readonly shrinkDelayMs: number
  /** How long a mark waits for the agent's word before it is taken back and another address is tried. */
  readonly releasePatienceMs: number
  /** How long a refusal for lack of room (subnet, VNIC, shape) is believed before it is tried again. */
  readonly refusalMs: number
  readonly attachPollMs: number
  /** Nodes worked on at a time: they mostly wait for their turn at the cloud's quota. */
  readonly workers: number
  readonly orphans: OrphanSettings
  readonly lease: { readonly namespace: string; readonly name: string; readonly durationMs: number }
  /** Absent: nothing is served. */
  readonly metrics?: { readonly host: string; readonly port: number } | undefined
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error'
}

export interface OciSettings {
  readonly authentication: AuthenticationSettings
  readonly endpoint?: string | undefined
  readonly region?: string | undefined
}

export type AuthenticationSettings =
  | { readonly kind: 'instancePrincipal' }
  | { readonly kind: 'configFile'; readonly path?: string | undefined; readonly profile?: string | undefined }
  | {
      readonly kind: 'key'
      readonly tenancyId: string
      readonly userId: string
      readonly fingerprint: string
      readonly privateKeyFile: string
    }

export interface OrphanSettings {
  readonly sweepMs: number
  /** How long a VNIC of ours has nobody, neither Node nor NativePodNetwork, before it is detached. */
  readonly graceMs: number
  /** false: it is only told. */
  readonly detach: boolean
}

const wholeNumber = (from: number, to: number): z.ZodNumber => {
  const sentence = `must be a whole number from ${from} to ${to}`
  return z.number(sentence).int(sentence).min(from, sentence).max(to, sentence)
}

const text = (what: string): z.ZodString => z.string(`must be ${what}`).min(1, `must be ${what}`)
const absolutePath = text('an absolute path').startsWith('/', 'must be an absolute path')
const ids = (most: number, what: string, parse: (text: string) => Result<string, string>) =>
  z
    .array(text(what).transform(viaParser(parse)), `must be a list: ${what}`)
    .max(most, `must have at most ${most} entries`)

const authentication = z.discriminatedUnion(
  'kind',
  [
    z.strictObject({ kind: z.literal('instancePrincipal') }),
    z.strictObject({ kind: z.literal('configFile'), path: absolutePath.optional(), profile: text('text').optional() }),
    z.strictObject({
      kind: z.literal('key'),
      tenancyId: text('the tenancy’s OCID'),
      userId: text('the user’s OCID'),
      fingerprint: text('the fingerprint of the API key'),
      privateKeyFile: absolutePath,
    }),
  ],
  'kind must be instancePrincipal, configFile or key',
)

const addresses = (from: number): z.ZodNumber => wholeNumber(from, npnLimits.addresses)

const elastic = z
  .strictObject({
    mode: z.enum(elasticModes, 'must be Elastic or Compatible').default('Elastic'),
    minimumAddresses: addresses(0).default(8),
    warmAddresses: addresses(0).default(8),
    maximumAddresses: addresses(1).exactOptional(),
    preferBlocks: z.boolean('must be true or false').exactOptional(),
  })
  .refine(({ minimumAddresses, maximumAddresses = Infinity }) => minimumAddresses <= maximumAddresses, {
    path: ['minimumAddresses'],
    error: 'must be at most maximumAddresses',
  })

const defaults = z.strictObject({
  podSubnetIds: ids(npnLimits.podSubnetIds, 'OCIDs of subnets', parseSubnetOcid).default([]),
  networkSecurityGroupIds: ids(
    npnLimits.networkSecurityGroupIds,
    'OCIDs of network security groups',
    parseNsgOcid,
  ).default([]),
  maxPodCount: wholeNumber(1, npnLimits.maxPodCount).default(110),
  elastic: elastic.prefault({}),
})

const configSchema: z.ZodType<ControllerConfig> = z
  .strictObject({
    // A tag's value has at most 256 characters (Oracle's "Resource Tags").
    cluster: text('the cluster’s id').max(256, 'must have at most 256 characters'),
    oci: z.strictObject({
      authentication,
      endpoint: z.url('must be a URL such as https://iaas.eu-frankfurt-1.oraclecloud.com').optional(),
      region: text('a region such as eu-frankfurt-1').optional(),
    }),
    rate: z
      .strictObject({
        perSecond: z.number('must be a number above 0').gt(0, 'must be above 0').default(20),
        burst: wholeNumber(1, 1000).default(5),
      })
      .prefault({}),
    defaults: defaults.prefault({}),
    resyncSeconds: wholeNumber(1, 86_400).default(300),
    shrinkDelaySeconds: wholeNumber(0, 86_400).default(60),
    releasePatienceSeconds: wholeNumber(1, 86_400).default(120),
    retryRefusedSeconds: wholeNumber(1, 86_400).default(30),
    attachPollSeconds: z
      .number('must be a number of seconds from 0.05 to 60')
      .min(0.05, 'must be at least 0.05')
      .max(60, 'must be at most 60')
      .default(1),
    workers: wholeNumber(1, 4096).default(256),
    orphans: z
      .strictObject({
        sweepSeconds: wholeNumber(1, 86_400).default(600),
        graceSeconds: wholeNumber(0, 86_400).default(900),
        detach: z.boolean('must be true or false').default(true),
      })
      .prefault({}),
    lease: z
      .strictObject({
        namespace: text('a namespace').default('kube-system'),
        name: text('a name').default('vcn-cni-controller'),
        durationSeconds: wholeNumber(1, 3600).default(15),
      })
      .prefault({}),
    metrics: z.strictObject({ host: text('an address').default('127.0.0.1'), port: wholeNumber(0, 65_535) }).optional(),
    logLevel: z.enum(['debug', 'info', 'warn', 'error'], 'must be debug, info, warn or error').default('info'),
  })
  .transform(({ resyncSeconds, shrinkDelaySeconds, releasePatienceSeconds, attachPollSeconds, ...others }) => {
    const { orphans, lease, retryRefusedSeconds, ...rest } = others
    return {
      ...rest,
      releasePatienceMs: releasePatienceSeconds * 1000,
      refusalMs: retryRefusedSeconds * 1000,
      resyncMs: resyncSeconds * 1000,
      shrinkDelayMs: shrinkDelaySeconds * 1000,
      attachPollMs: attachPollSeconds * 1000,
      orphans: {
        sweepMs: orphans.sweepSeconds * 1000,
        graceMs: orphans.graceSeconds * 1000,
        detach: orphans.detach,
      },
      lease: { namespace: lease.namespace, name: lease.name, durationMs: lease.durationSeconds * 1000 },
    }
  })

/** `raw` is the parsed YAML (or JSON) of the file. */
export function parseControllerConfig(raw: unknown): Result<ControllerConfig, readonly FieldError[]> {
  return parseWith(configSchema, raw ?? {})
}
