import * as z from 'zod'
import { err, ok, type Result } from '../base/result.ts'
import { formatFieldErrors, parseWith } from '../base/schema.ts'
import { type CniError, cniError } from './errors.ts'
import { identifierProblem } from './parameters.ts'
import { type CniDns, type CniResult, dnsSchema, parseResult } from './result.ts'
import { isSupportedVersion, type SpecVersion, supportedVersions } from './versions.ts'

/** What our entry of a configuration may say. */
export interface NetConf {
  /** Of the pod's interface; without it, the VNIC's. */
  readonly mtuBytes?: number
  /** Handed on to the runtime in the result. */
  readonly dns?: CniDns
}

/** One of the attachments that GC has to leave alone. */
export interface ValidAttachment {
  readonly containerId: string
  readonly ifname: string
}

export interface GcConf {
  readonly disableGC: boolean
  readonly validAttachments: readonly ValidAttachment[] | undefined
}

export type JsonObject = Readonly<Record<string, unknown>>

// 1280 is IPv6's minimum (RFC 8200, section 5); an OCI VNIC carries 9000, and 9216 is the largest jumbo frame in use.
const mtuProblem = 'must be a whole number of bytes from 1280 to 9216'
const mtuSchema = z.number(mtuProblem).refine((mtu) => Number.isInteger(mtu) && mtu >= 1280 && mtu <= 9216, mtuProblem)

const netConfSchema = z.object({ mtu: mtuSchema.exactOptional(), dns: dnsSchema.exactOptional() })

const attachmentsSchema = z.array(z.object({ containerID: z.string(), ifname: z.string() })).exactOptional()
const gcSchema = z.object({
  disableGC: z.boolean().default(false),
  'cni.dev/valid-attachments': attachmentsSchema,
  // The name in the first edition of 1.1.0's text; libcni sends both (containernetworking/cni, issue 1101).
  'cni.dev/attachments': attachmentsSchema,
})

/** The configuration as a JSON object, with members that are null or "" taken out. */
export function parseConfiguration(stdin: Buffer): Result<JsonObject, CniError> {
  let raw: unknown
  try {
    raw = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(stdin), withoutZeroValue)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    return err(cniError('DECODING_FAILURE', `the configuration is not valid JSON: ${reason}`))
  }
  if (isJsonObject(raw)) return ok(raw)
  return err(cniError('DECODING_FAILURE', 'the configuration is not a JSON object'))
}

export function parseVersion(config: JsonObject): Result<SpecVersion, CniError> {
  const version = config['cniVersion']
  if (typeof version === 'string' && isSupportedVersion(version)) return ok(version)
  const supported = `supported are ${supportedVersions.join(', ')}`
  // Before 0.2.0 a configuration had no cniVersion: libcni, too, takes its absence for 0.1.0.
  if (version === undefined) return err(cniError('INCOMPATIBLE_VERSION', `cniVersion is missing; ${supported}`))
  if (typeof version === 'string') {
    return err(cniError('INCOMPATIBLE_VERSION', `cniVersion ${JSON.stringify(version)} is not supported; ${supported}`))
  }
  return err(cniError('INVALID_CONFIG', `cniVersion: ${JSON.stringify(version)} is not a string; ${supported}`))
}

export function parseNetworkName(config: JsonObject): Result<string, CniError> {
  const name = config['name']
  if (name === undefined) return err(cniError('INVALID_CONFIG', 'name: is required'))
  if (typeof name !== 'string') return err(cniError('INVALID_CONFIG', `name: ${JSON.stringify(name)} is not a string`))
  const problem = identifierProblem(name)
  return problem === undefined ? ok(name) : err(cniError('INVALID_CONFIG', `name: ${JSON.stringify(name)} ${problem}`))
}

export function parseNetConf(config: JsonObject): Result<NetConf, CniError> {
  const parsed = parseFields(netConfSchema, config)
  if (!parsed.ok) return parsed
  const { mtu, dns } = parsed.value
  return ok({ ...(mtu === undefined ? {} : { mtuBytes: mtu }), ...(dns === undefined ? {} : { dns }) })
}

/** `validAttachments` stays undefined when the runtime sent no list: that must never read as "none is valid". */
export function parseGcConf(config: JsonObject): Result<GcConf, CniError> {
  const parsed = parseFields(gcSchema, config)
  if (!parsed.ok) return parsed
  const listed = parsed.value['cni.dev/valid-attachments'] ?? parsed.value['cni.dev/attachments']
  return ok({
    disableGC: parsed.value.disableGC,
    validAttachments: listed?.map(({ containerID, ifname }) => ({ containerId: containerID, ifname })),
  })
}

/** undefined when there is none: outside a chain, or for the first plugin of one. */
export function parsePrevResult(config: JsonObject, version: SpecVersion): Result<CniResult | undefined, CniError> {
  if (config['prevResult'] === undefined) return ok(undefined)
  const parsed = parseResult(config['prevResult'], version)
  if (parsed.ok) return parsed
  const errors = parsed.error.map(({ field, problem }) => ({
    field: field === '' ? 'prevResult' : `prevResult.${field}`,
    problem,
  }))
  return err(cniError('INVALID_CONFIG', formatFieldErrors(errors)))
}

/** Fields of the configuration by a schema; errors name the field, its value and what would be valid. */
export function parseFields<T>(schema: z.ZodType<T>, config: JsonObject): Result<T, CniError> {
  const parsed = parseWith(schema, config)
  return parsed.ok ? parsed : err(cniError('INVALID_CONFIG', formatFieldErrors(parsed.error)))
}

function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Every known runtime is written in Go, whose decoder takes null and "" for "not there". */
function withoutZeroValue(this: unknown, _key: string, value: unknown): unknown {
  return (value === null || value === '') && !Array.isArray(this) ? undefined : value
}
