import * as z from 'zod'
import { familyOf, type Ip } from '../base/ip.ts'
import { err, ok, type Result } from '../base/result.ts'
import { type FieldError, parseWith } from '../base/schema.ts'
import { LenientReader } from './lenient-reader.ts'
import { type KubeObject, objectMeta, type ObjectMeta, withoutUndefined } from './object.ts'
import { parseServiceAddress } from './service-address.ts'
import { portNumber, protocolOrTcp, type ServiceProtocol } from './service-port.ts'

/** A discovery.k8s.io/v1 EndpointSlice, as far as a service proxy needs it. What is wrong in it is in `problems`, and left out. */
export interface EndpointSlice extends KubeObject {
  readonly metadata: ObjectMeta & { readonly namespace: string }
  /** Absent: it belongs to no Service. */
  readonly serviceName?: string
  readonly addressType: AddressType
  readonly endpoints: readonly SliceEndpoint[]
  /** Those with a name and a number; named target ports are numbers here already. */
  readonly ports: readonly SlicePort[]
  readonly problems: readonly FieldError[]
}

export type AddressType = 'IPv4' | 'IPv6' | 'FQDN'

export interface SliceEndpoint {
  /** The first usable one: the API calls the addresses of an endpoint interchangeable. */
  readonly address: Ip
  readonly nodeName?: string
  readonly ready: boolean
  readonly serving: boolean
  readonly terminating: boolean
  /** Whom the endpoint is meant for; empty: no hint. */
  readonly nodeHints: readonly string[]
  readonly zoneHints: readonly string[]
}

export interface SlicePort {
  /** Of the Service's port, empty when that has none. */
  readonly name: string
  readonly protocol: ServiceProtocol
  readonly port: number
}

const serviceNameLabel = 'kubernetes.io/service-name'

const addressTypes = ['IPv4', 'IPv6', 'FQDN'] as const
const envelope = z.object({
  metadata: objectMeta,
  addressType: z.enum(addressTypes, `must be ${addressTypes.join(', ')}`),
  endpoints: z.unknown().optional(),
  ports: z.unknown().optional(),
})

const flag = z
  .boolean('must be true or false')
  .nullish()
  .transform((value) => value ?? undefined)
const hint = z.object({ name: z.string() })
const hints = z
  .object({ forNodes: z.array(hint).nullish(), forZones: z.array(hint).nullish() })
  .nullish()
  .transform((value) => value ?? {})
const endpoint = z.object({
  addresses: z.unknown().optional(),
  nodeName: z.string('must be a node’s name').nullish(),
  conditions: z
    .object({ ready: flag, serving: flag, terminating: flag })
    .nullish()
    .transform((value) => value ?? { ready: undefined, serving: undefined, terminating: undefined }),
  hints: z.unknown().optional(),
})
type WireEndpoint = z.infer<typeof endpoint>

const port = z.object({
  name: z.string('must be text').nullish(),
  protocol: protocolOrTcp,
  port: portNumber.nullish(),
})
type WirePort = z.infer<typeof port>

export function parseEndpointSlice(raw: unknown): Result<EndpointSlice, readonly FieldError[]> {
  const parsed = parseWith(envelope, raw)
  if (!parsed.ok) return parsed
  const { metadata, addressType, endpoints, ports } = parsed.value
  const reader = new LenientReader()
  // Names are no concern of a proxy.
  const isOfNames = addressType === 'FQDN'
  const view = {
    metadata: { ...metadata, namespace: metadata.namespace ?? 'default' },
    serviceName: metadata.labels[serviceNameLabel],
    addressType,
    endpoints: reader.readEachWith(isOfNames ? [] : endpoints, 'endpoints', (element, field) =>
      readEndpoint(reader, addressType, element, field),
    ),
    ports: reader.readEachWith(isOfNames ? [] : ports, 'ports', (element, field) => readPort(reader, element, field)),
    problems: reader.problems,
  }
  return ok(withoutUndefined(view))
}

function readEndpoint(
  reader: LenientReader,
  addressType: AddressType,
  element: unknown,
  field: string,
): SliceEndpoint | undefined {
  const wire = reader.read<WireEndpoint | undefined>(endpoint, element, field, undefined)
  if (wire === undefined) return undefined
  const address = readAddress(reader, addressType, wire.addresses, `${field}.addresses`)
  if (address === undefined) return undefined
  const { ready, serving, terminating } = wire.conditions
  // A hint is advice: a broken one is worth a word, not the endpoint.
  const { forNodes, forZones } = reader.read(hints, wire.hints, `${field}.hints`, {})
  return withoutUndefined({
    address,
    nodeName: wire.nodeName ?? undefined,
    ready: ready ?? true,
    serving: serving ?? true,
    terminating: terminating ?? false,
    nodeHints: (forNodes ?? []).map(({ name }) => name),
    zoneHints: (forZones ?? []).map(({ name }) => name),
  })
}

function readAddress(reader: LenientReader, type: AddressType, raw: unknown, field: string): Ip | undefined {
  const parseOfFamily = (text: string): Result<Ip, string> => {
    const parsed = parseServiceAddress(text)
    if (!parsed.ok || familyOf(parsed.value) === (type === 'IPv4' ? 4 : 6)) return parsed
    return err(`${JSON.stringify(text)} is not an ${type} address, as the slice's addressType says`)
  }
  const texts = reader.readEachWith(raw, field, (text, name) => ({ text, name }))
  if (texts.length === 0) reader.report(field, 'must have at least one address')
  for (const { text, name } of texts) {
    const parsed = typeof text === 'string' ? parseOfFamily(text) : err('must be an IP address')
    if (parsed.ok) return parsed.value
    reader.report(name, parsed.error)
  }
  return undefined
}

function readPort(reader: LenientReader, element: unknown, field: string): SlicePort | undefined {
  const read = reader.read<WirePort | undefined>(port, element, field, undefined)
  // No number means every port, which no Service can name; no name cannot be joined with one.
  if (read?.name === undefined || read.name === null || read.port === undefined || read.port === null) return undefined
  return { name: read.name, protocol: read.protocol, port: read.port }
}
