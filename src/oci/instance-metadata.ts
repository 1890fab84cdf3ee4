import * as z from 'zod'
import { type Ipv4Cidr, parseIpv4Cidr } from '../base/cidr.ts'
import { type Ipv4, parseIpv4 } from '../base/ip.ts'
import { type Mac, parseMac } from '../base/mac.ts'
import { err, ok, type Result } from '../base/result.ts'
import { formatFieldErrors, parseWith, viaParser } from '../base/schema.ts'
import {
  type CompartmentOcid,
  type InstanceOcid,
  parseCompartmentOcid,
  parseInstanceOcid,
  parseVnicOcid,
  type VnicOcid,
} from './ocid.ts'

/** What an instance can ask about itself. */
export interface InstanceMetadata {
  readonly id: InstanceOcid
  readonly compartmentId: CompartmentOcid
  readonly displayName: string
  readonly availabilityDomain: string
  /** Such as eu-frankfurt-1. */
  readonly region: string
  readonly shape: string
  /** User metadata: a node pool's wishes are in it. */
  readonly metadata: Readonly<Record<string, string>>
}

export interface MetadataVnic {
  readonly id: VnicOcid
  readonly mac: Mac
  readonly privateIp: Ipv4
  readonly vlanTag: number
  readonly virtualRouterIp: Ipv4
  readonly subnetCidr: Ipv4Cidr
  /** Can be 0 on every VNIC. */
  readonly nicIndex: number
}

/** Asked again for a while after a VNIC was attached: the service learns of it late. */
export interface InstanceMetadataClient {
  getInstance(signal: AbortSignal): Promise<Result<InstanceMetadata, MetadataError>>
  /** The primary VNIC is the first one. */
  listVnics(signal: AbortSignal): Promise<Result<readonly MetadataVnic[], MetadataError>>
}

export type MetadataError =
  | { readonly kind: 'unreachable'; readonly message: string }
  | { readonly kind: 'refused'; readonly status: number; readonly message: string }
  | { readonly kind: 'malformed'; readonly message: string }

export interface MetadataOptions {
  /** The link-local address of every instance when absent. */
  readonly endpoint?: string
  /** How long one request may take. 5 s when absent: the service is one hop away. */
  readonly timeoutMs?: number
}

const linkLocalEndpoint = 'http://169.254.169.254'

const address = z.string().transform(viaParser(parseIpv4))

const instanceSchema: z.ZodType<InstanceMetadata> = z
  .object({
    id: z.string().transform(viaParser(parseInstanceOcid)),
    compartmentId: z.string().transform(viaParser(parseCompartmentOcid)),
    displayName: z.string(),
    availabilityDomain: z.string(),
    // `region` is a short name such as iad in the oldest regions; this is the long one everywhere.
    canonicalRegionName: z.string(),
    shape: z.string(),
    metadata: z.record(z.string(), z.string()).optional(),
  })
  .transform(({ canonicalRegionName, metadata, ...rest }) => ({
    ...rest,
    region: canonicalRegionName,
    metadata: metadata ?? {},
  }))

const vnicsSchema: z.ZodType<readonly MetadataVnic[]> = z.array(
  z
    .object({
      vnicId: z.string().transform(viaParser(parseVnicOcid)),
      macAddr: z.string().transform(viaParser(parseMac)),
      privateIp: address,
      vlanTag: z.int(),
      virtualRouterIp: address,
      subnetCidrBlock: z.string().transform(viaParser(parseIpv4Cidr)),
      nicIndex: z.int().default(0),
    })
    .transform(({ vnicId, macAddr, subnetCidrBlock, ...rest }) => ({
      ...rest,
      id: vnicId,
      mac: macAddr,
      subnetCidr: subnetCidrBlock,
    })),
)

/** Version 2 of the service. Answers the primary VNIC's address only, so not a pod. */
export function instanceMetadataClient(options: MetadataOptions = {}): InstanceMetadataClient {
  const { endpoint = linkLocalEndpoint, timeoutMs = 5000 } = options
  const get = <T>(path: string, schema: z.ZodType<T>, signal: AbortSignal): Promise<Result<T, MetadataError>> =>
    getParsed(`${endpoint}/opc/v2/${path}`, schema, timeoutMs, signal)
  return {
    getInstance: (signal) => get('instance/', instanceSchema, signal),
    listVnics: (signal) => get('vnics/', vnicsSchema, signal),
  }
}

async function getParsed<T>(
  url: string,
  schema: z.ZodType<T>,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Result<T, MetadataError>> {
  signal.throwIfAborted()
  try {
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
    // The header is what keeps pages and proxies from making somebody else ask (server-side request forgery).
    const response = await fetch(url, {
      headers: { authorization: 'Bearer Oracle' },
      redirect: 'error',
      signal: bounded,
    })
    const body = await response.text()
    if (!response.ok) return err({ kind: 'refused', status: response.status, message: `${url}: ${body.slice(0, 200)}` })
    const parsed = parseWith(schema, JSON.parse(body))
    return parsed.ok
      ? ok(parsed.value)
      : err({ kind: 'malformed', message: `${url}: ${formatFieldErrors(parsed.error)}` })
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof SyntaxError) return err({ kind: 'malformed', message: `${url}: ${error.message}` })
    return err({ kind: 'unreachable', message: `${url}: ${reason(error)}` })
  }
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message
}
