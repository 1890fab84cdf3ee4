import * as z from 'zod'
import { familyOf, type Ip } from '../base/ip.ts'
import { err, ok, type Result } from '../base/result.ts'
import { type FieldError, parseWith, viaParser } from '../base/schema.ts'
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

/** `unknown`: it says something else, and has no endpoints. */
export type AddressType = (typeof addressTypes)[number] | 'unknown'

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
const addressTypeSchema: z.ZodType<AddressType> = z.enum(addressTypes, `must be ${addressTypes.join(', ')}`)
const envelope = z.object({
  metadata: objectMeta,
  addressType: z.unknown().optional(),
  endpoints: z.unknown().optional(),
  ports: z.unknown().optional(),
})

function addressOfFamily(type: 'IPv4' | 'IPv6'): z.ZodType<Ip> {
  const parseOfFamily = (text: string): Result<Ip, string> => {
    const parsed = parseServiceAddress(text)
    if (!parsed.ok || `IPv${familyOf(parsed.value)}` === type) return parsed
    return err(`${JSON.stringify(text)} is not an ${type} address, as the slice's addressType says`)
  }
  return z.string('must be an IP address').transform(viaParser(parseOfFamily))
}
const ipv4Address = addressOfFamily('IPv4')
const ipv6Address = addressOfFamily('IPv6')

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
  const { metadata, endpoints, ports } = parsed.value
  const reader = new LenientReader()
  const addressType = reader.read(addressTypeSchema, parsed.value.addressType, 'addressType', 'unknown')
  // Names are no concern of a proxy, and addresses of no known kind could only be wrong.
  const isOfAddresses = addressType === 'IPv4' || addressType === 'IPv6'
  const view = {
    metadata: { ...metadata, namespace: metadata.namespace ?? 'default' },
    serviceName: metadata.labels[serviceNameLabel],
    addressType,
    endpoints: reader.readEachWith(isOfAddresses ? endpoints : [], 'endpoints', (element, field) =>
      readEndpoint(reader, addressType, element, field),
    ),
    ports: reader.readEachWith(isOfAddresses ? ports : [], 'ports', (element, field) =>
      readPort(reader, element, field),
    ),
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
  const texts = reader.readEachWith(raw, field, (text, name) => ({ text, name }))
  if (texts.length === 0) reader.report(field, 'must have at least one address (got none)')
  for (const { text, name } of texts) {
    const address = reader.read<Ip | undefined>(type === 'IPv4' ? ipv4Address : ipv6Address, text, name, undefined)
    if (address !== undefined) return address
  }
  return undefined
}

function readPort(reader: LenientReader, element: unknown, field: string): SlicePort | undefined {
  const read = reader.read<WirePort | undefined>(port, element, field, undefined)
  // No number means every port, which no Service can name; no name cannot be joined with one.
  if (read?.name === undefined || read.name === null || read.port === undefined || read.port === null) return undefined
  return { name: read.name, protocol: read.protocol, port: read.port }
}
