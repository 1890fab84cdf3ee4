import { badRequest, unsupportedMediaType } from './status-error.ts'
import type { JsonObject, JsonValue } from './objects.ts'

/**
 * Newer kubectls send what `kubectl create namespace|configmap|secret|serviceaccount` makes in protobuf only. The fields
 * of these few kinds, by number (k8s.io/api/core/v1 and apimachinery/pkg/apis/meta/v1, generated.proto); every other
 * kind is refused with 415 and wants JSON, as custom resources do on a real server.
 */
type FieldType = 'text' | 'number' | 'boolean' | 'bytes' | 'textMap' | 'bytesMap' | readonly [Fields]
interface Field {
  readonly name: string
  readonly type: FieldType
  readonly repeated?: true
}
type Fields = Readonly<Record<number, Field>>

const meta: Fields = {
  1: { name: 'name', type: 'text' },
  2: { name: 'generateName', type: 'text' },
  3: { name: 'namespace', type: 'text' },
  5: { name: 'uid', type: 'text' },
  6: { name: 'resourceVersion', type: 'text' },
  11: { name: 'labels', type: 'textMap' },
  12: { name: 'annotations', type: 'textMap' },
  14: { name: 'finalizers', type: 'text', repeated: true },
}
const metadata: Field = { name: 'metadata', type: [meta] }
const reference: Fields = { 3: { name: 'name', type: 'text' } }
const localReference: Fields = { 1: { name: 'name', type: 'text' } }

const kinds: Readonly<Record<string, Fields>> = {
  'v1/Namespace': { 1: metadata },
  'v1/ConfigMap': {
    1: metadata,
    2: { name: 'data', type: 'textMap' },
    3: { name: 'binaryData', type: 'bytesMap' },
    4: { name: 'immutable', type: 'boolean' },
  },
  'v1/Secret': {
    1: metadata,
    2: { name: 'data', type: 'bytesMap' },
    3: { name: 'type', type: 'text' },
    4: { name: 'stringData', type: 'textMap' },
    5: { name: 'immutable', type: 'boolean' },
  },
  'v1/ServiceAccount': {
    1: metadata,
    2: { name: 'secrets', type: [reference], repeated: true },
    3: { name: 'imagePullSecrets', type: [localReference], repeated: true },
    4: { name: 'automountServiceAccountToken', type: 'boolean' },
  },
  'v1/DeleteOptions': {
    1: { name: 'gracePeriodSeconds', type: 'number' },
    2: {
      name: 'preconditions',
      type: [{ 1: { name: 'uid', type: 'text' }, 2: { name: 'resourceVersion', type: 'text' } }],
    },
    3: { name: 'orphanDependents', type: 'boolean' },
    4: { name: 'propagationPolicy', type: 'text' },
    5: { name: 'dryRun', type: 'text', repeated: true },
  },
}

const magic = 'k8s\0'
const typeMeta: Fields = { 1: { name: 'apiVersion', type: 'text' }, 2: { name: 'kind', type: 'text' } }
const envelope: Fields = { 1: { name: 'typeMeta', type: [typeMeta] }, 2: { name: 'raw', type: 'bytes' } }

/** The object in a body of type application/vnd.kubernetes.protobuf: `k8s\0`, then a runtime.Unknown. */
export function decodeProtobufBody(body: Buffer): JsonObject {
  if (body.toString('latin1', 0, magic.length) !== magic)
    throw badRequest('the body of the request is no Kubernetes protobuf')
  const { typeMeta: type, raw } = decodeMessage(body.subarray(magic.length), envelope)
  const { apiVersion, kind } = (type ?? {}) as { readonly apiVersion?: string; readonly kind?: string }
  const fields = kinds[`${apiVersion ?? ''}/${kind ?? ''}`]
  if (fields === undefined)
    throw unsupportedMediaType(`application/vnd.kubernetes.protobuf of ${kind ?? 'unknown kind'}`, ['application/json'])
  const content = decodeMessage(Buffer.from(typeof raw === 'string' ? raw : '', 'base64'), fields)
  return { apiVersion, kind, ...content }
}

function decodeMessage(bytes: Buffer, fields: Fields): JsonObject {
  const result: Record<string, JsonValue> = {}
  let offset = 0
  const varint = (): number => {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[offset]
      if (byte === undefined) throw badRequest('the protobuf body ends within a number')
      offset += 1
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
    }
  }
  while (offset < bytes.length) {
    const tag = varint()
    const wire = tag % 8
    if (wire !== 0 && wire !== 2) throw badRequest(`the protobuf body has a field of wire type ${wire}`)
    const length = varint()
    const field = fields[Math.floor(tag / 8)]
    const content = wire === 2 ? bytes.subarray(offset, offset + length) : bytes.subarray(0, 0)
    if (wire === 2) offset += length
    if (field !== undefined) put(result, field, wire === 2 ? content : length)
  }
  return result
}

function put(result: Record<string, JsonValue>, { name, type, repeated }: Field, raw: Buffer | number): void {
  const before = result[name]
  if (type === 'textMap' || type === 'bytesMap') {
    const entry: Fields = {
      1: { name: 'key', type: 'text' },
      2: { name: 'value', type: type === 'textMap' ? 'text' : 'bytes' },
    }
    const { key, value } = typeof raw === 'number' ? {} : decodeMessage(raw, entry)
    if (typeof key === 'string') result[name] = { ...((before ?? {}) as JsonObject), [key]: value ?? '' }
    return
  }
  const value = decodeValue(type, raw)
  // gogo's encoder writes empty texts too, where JSON would leave the field out.
  if (value === '' && repeated !== true) return
  result[name] = repeated === true ? [...(Array.isArray(before) ? (before as readonly JsonValue[]) : []), value] : value
}

function decodeValue(type: Exclude<FieldType, 'textMap' | 'bytesMap'>, raw: Buffer | number): JsonValue {
  if (typeof raw === 'number') return type === 'boolean' ? raw !== 0 : raw
  if (typeof type === 'object') return decodeMessage(raw, type[0])
  return raw.toString(type === 'bytes' ? 'base64' : 'utf8')
}
