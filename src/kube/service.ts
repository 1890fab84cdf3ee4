import * as z from 'zod'
import type { Cidr } from '../base/cidr.ts'
import type { Ip } from '../base/ip.ts'
import { ok, type Result } from '../base/result.ts'
import { type FieldError, parseWith, viaParser } from '../base/schema.ts'
import { LenientReader } from './lenient-reader.ts'
import { type KubeObject, objectMeta, type ObjectMeta, withoutUndefined } from './object.ts'
import { parseServiceAddress, parseSourceRange } from './service-address.ts'
import { portNumber, protocolOrTcp, type ServiceProtocol } from './service-port.ts'

/** A core/v1 Service, as far as a service proxy needs to know it. What is wrong in it is in `problems`, and left out. */
export interface Service extends KubeObject {
  readonly metadata: ObjectMeta & { readonly namespace: string }
  readonly type: ServiceType
  /** No virtual address was asked for (clusterIP None or ""). Not headless and without `clusterIps`: it was unusable. */
  readonly headless: boolean
  /** At most one an address family. */
  readonly clusterIps: readonly Ip[]
  readonly externalIps: readonly Ip[]
  readonly loadBalancerIngress: readonly LoadBalancerIngress[]
  readonly loadBalancerSourceRanges: SourceRanges
  readonly ports: readonly ServicePort[]
  /** Of ClientIP affinity; absent: none. */
  readonly affinityTimeoutSeconds?: number
  readonly internalTrafficPolicy: TrafficPolicy
  readonly externalTrafficPolicy: TrafficPolicy
  readonly healthCheckNodePort?: number
  readonly problems: readonly FieldError[]
}

export type ServiceType = 'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'ExternalName'
export type TrafficPolicy = 'Cluster' | 'Local'

export interface ServicePort {
  /** Empty when the Service has only one. */
  readonly name: string
  readonly protocol: ServiceProtocol
  readonly port: number
  readonly nodePort?: number
}

export interface LoadBalancerIngress {
  readonly address: Ip
  /** Proxy: the load balancer sends to node ports or pods, and packets to its address go out to it. */
  readonly mode: 'VIP' | 'Proxy'
}

export interface SourceRanges {
  readonly blocks: readonly Cidr[]
  /** One could not be read: the others still admit their clients, but an empty list then admits nobody. */
  readonly incomplete: boolean
}

/** Kubernetes' default, and its longest (24 hours). */
const defaultAffinitySeconds = 10_800
const longestAffinitySeconds = 86_400

const envelope = z.object({
  metadata: objectMeta,
  spec: z.record(z.string(), z.unknown()).nullish(),
  status: z
    .object({ loadBalancer: z.object({ ingress: z.unknown() }).nullish() })
    .nullish()
    .catch(undefined),
})

const types = ['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'] as const
const serviceType: z.ZodType<ServiceType> = z.enum(types, `must be ${types.join(', ')}`)
const address: z.ZodType<Ip> = z.string('must be an IP address').transform(viaParser(parseServiceAddress))
const sourceRange: z.ZodType<Cidr> = z.string('must be a block of addresses').transform(viaParser(parseSourceRange))
const policy: z.ZodType<TrafficPolicy> = z.enum(['Cluster', 'Local'], 'must be Cluster or Local')
const affinity = z.enum(['None', 'ClientIP'], 'must be None or ClientIP')
const affinitySentence = `must be a whole number from 1 to ${longestAffinitySeconds}`
const affinitySeconds: z.ZodType<number> = z
  .number(affinitySentence)
  .int(affinitySentence)
  .min(1, affinitySentence)
  .max(longestAffinitySeconds, affinitySentence)
const affinityConfig = z
  .object({ clientIP: z.object({ timeoutSeconds: z.unknown() }).nullish() })
  .nullish()
  .catch(undefined)

// Go writers without omitempty leave 0 where there is nothing.
const optionalPort: z.ZodType<number | undefined> = z.preprocess(
  (value) => (value === 0 || value === null ? undefined : value),
  portNumber.optional(),
)

const port = z.object({
  name: z
    .string('must be text')
    .nullish()
    .transform((name) => name ?? ''),
  protocol: protocolOrTcp,
  port: portNumber,
  nodePort: z.unknown().optional(),
})

const ingress = z.object({ ip: z.string('must be an IP address').nullish(), ipMode: z.string().nullish() })

export function parseService(raw: unknown): Result<Service, readonly FieldError[]> {
  const parsed = parseWith(envelope, raw)
  if (!parsed.ok) return parsed
  const { metadata, status } = parsed.value
  const spec = parsed.value.spec ?? {}
  const reader = new LenientReader()
  const field = <T>(schema: z.ZodType<T>, name: string, fallback: T): T =>
    reader.read(schema, spec[name] ?? fallback, `spec.${name}`, fallback)

  const type = field(serviceType, 'type', 'ClusterIP')
  const clusterIpTexts = clusterIpTextsOf(spec)
  const view = {
    metadata: { ...metadata, namespace: metadata.namespace ?? 'default' },
    type,
    headless: isNone(clusterIpTexts.texts[0]),
    clusterIps: readClusterIps(reader, clusterIpTexts),
    externalIps: reader.readEach(address, spec['externalIPs'], 'spec.externalIPs'),
    loadBalancerIngress: readIngress(reader, status?.loadBalancer?.ingress),
    loadBalancerSourceRanges: readSourceRanges(reader, spec['loadBalancerSourceRanges']),
    ports: reader.readEachWith(spec['ports'], 'spec.ports', (element, name) => readPort(reader, element, name)),
    affinityTimeoutSeconds: readAffinity(reader, spec),
    internalTrafficPolicy: field(policy, 'internalTrafficPolicy', 'Cluster'),
    externalTrafficPolicy: field(policy, 'externalTrafficPolicy', 'Cluster'),
    healthCheckNodePort: field(optionalPort, 'healthCheckNodePort', undefined),
    problems: reader.problems,
  }
  return ok(withoutUndefined(view))
}

interface ClusterIpTexts {
  readonly field: string
  readonly texts: readonly unknown[]
}

// clusterIPs came with Kubernetes 1.20; the single field repeats its first entry.
function clusterIpTextsOf(spec: Readonly<Record<string, unknown>>): ClusterIpTexts {
  const single = spec['clusterIP']
  const list: unknown = spec['clusterIPs']
  if (Array.isArray(list) && list.length > 0 && (single === undefined || list[0] === single))
    return { field: 'spec.clusterIPs', texts: list }
  return { field: 'spec.clusterIP', texts: [single ?? ''] }
}

function isNone(text: unknown): boolean {
  return text === '' || text === 'None'
}

function readClusterIps(reader: LenientReader, { field, texts }: ClusterIpTexts): readonly Ip[] {
  if (isNone(texts[0])) return []
  return field === 'spec.clusterIP'
    ? [reader.read<Ip | undefined>(address, texts[0], field, undefined)].filter((ip) => ip !== undefined)
    : reader.readEach(address, texts, field)
}

function readPort(reader: LenientReader, element: unknown, name: string): ServicePort | undefined {
  const read = reader.read<z.infer<typeof port> | undefined>(port, element, name, undefined)
  if (read === undefined) return undefined
  const nodePort = reader.read(optionalPort, read.nodePort, `${name}.nodePort`, undefined)
  return withoutUndefined({ name: read.name, protocol: read.protocol, port: read.port, nodePort })
}

function readIngress(reader: LenientReader, raw: unknown): readonly LoadBalancerIngress[] {
  return reader.readEachWith(raw, 'status.loadBalancer.ingress', (element, name) => {
    const read = reader.read<z.infer<typeof ingress> | undefined>(ingress, element, name, undefined)
    // Load balancers may be known by a host name alone.
    if (read?.ip === undefined || read.ip === null || read.ip === '') return undefined
    const ip = reader.read<Ip | undefined>(address, read.ip, `${name}.ip`, undefined)
    if (ip === undefined) return undefined
    return { address: ip, mode: (read.ipMode ?? 'VIP') === 'VIP' ? 'VIP' : 'Proxy' }
  })
}

function readSourceRanges(reader: LenientReader, raw: unknown): SourceRanges {
  const before = reader.problems.length
  const blocks = reader.readEach(sourceRange, raw, 'spec.loadBalancerSourceRanges')
  return { blocks, incomplete: reader.problems.length > before }
}

function readAffinity(reader: LenientReader, spec: Readonly<Record<string, unknown>>): number | undefined {
  if (reader.read(affinity, spec['sessionAffinity'] ?? 'None', 'spec.sessionAffinity', 'None') === 'None')
    return undefined
  const seconds = affinityConfig.parse(spec['sessionAffinityConfig'])?.clientIP?.timeoutSeconds
  const field = 'spec.sessionAffinityConfig.clientIP.timeoutSeconds'
  return reader.read(affinitySeconds, seconds ?? defaultAffinitySeconds, field, defaultAffinitySeconds)
}
