import { resolveCore, coreDefinition } from './core-schemas.ts'
import { isObject, type JsonObject, type JsonValue, type KubeObject, textAt, without } from './objects.ts'
import { apiVersionOf, type Resource } from './resources.ts'
import { applyDefaults, prune, type Schema, typeProblems } from './schema.ts'
import { decodeProtobufBody } from './protobuf-bodies.ts'
import { badRequest, unsupportedMediaType } from './status-error.ts'

/** What happens to fields that the schema does not know: the query parameter of that name, by default Warn. */
export type FieldValidation = 'Strict' | 'Warn' | 'Ignore'

export interface Decoded {
  readonly object: KubeObject
  readonly warnings: readonly string[]
}

export function schemaOf({ model }: Resource): Schema {
  return model.type === 'custom' ? model.schema : coreDefinition(model.definition)
}

/** A body as an object of the resource: typed, pruned, defaulted. Throws the 400 that a real server answers. */
export function decode(body: JsonValue | undefined, resource: Resource, fieldValidation: FieldValidation): Decoded {
  if (!isObject(body)) throw badRequest('the body of the request must be a JSON object')
  const expected = apiVersionOf(resource)
  const typed: JsonObject = { ...body, ...(resource.model.type === 'core' ? typeMeta(body, resource) : {}) }
  checkTypeMeta(typed, resource, expected)
  const schema = schemaOf(resource)
  // Of a custom object only the metadata is typed; the rest is for its schema to judge, with 422.
  const [first] =
    resource.model.type === 'core'
      ? typeProblems(typed, schema, resolveCore)
      : typeProblems(typed['metadata'] ?? null, coreDefinition('V1ObjectMeta'), resolveCore, 'metadata')
  if (first !== undefined)
    throw badRequest(
      `${resource.kind} in version "${resource.version}" cannot be handled as a ${resource.kind}: ${first}`,
    )
  const pruned = prune(typed, schema, resolveCore)
  const problems = pruned.unknown.map((field) => `unknown field "${field}"`)
  if (fieldValidation === 'Strict' && problems.length > 0)
    throw badRequest(`strict decoding error: ${problems.join(', ')}`)
  const defaulted = resource.model.type === 'custom' ? applyDefaults(pruned.value, schema) : pruned.value
  return { object: asKubeObject(defaulted, resource), warnings: fieldValidation === 'Warn' ? problems : [] }
}

function typeMeta(body: JsonValue, resource: Resource): { readonly apiVersion: string; readonly kind: string } {
  return {
    apiVersion: textAt(body, 'apiVersion') || apiVersionOf(resource),
    kind: textAt(body, 'kind') || resource.kind,
  }
}

function checkTypeMeta(body: JsonValue, resource: Resource, expected: string): void {
  const kind = textAt(body, 'kind')
  const apiVersion = textAt(body, 'apiVersion')
  if (kind === '') throw badRequest(`Object 'Kind' is missing in '${JSON.stringify(body)}'`)
  if (apiVersion !== expected) {
    throw badRequest(
      `the API version in the data (${apiVersion}) does not match the expected API version (${expected})`,
    )
  }
  if (kind !== resource.kind) {
    throw badRequest(`${kind} in version "${resource.version}" cannot be handled as a ${resource.kind}`)
  }
}

/** Metadata is always there from here on; what only other servers fill in is dropped. */
function asKubeObject(value: JsonValue, resource: Resource): KubeObject {
  if (!isObject(value)) throw badRequest('the body of the request must be a JSON object')
  const raw = value['metadata']
  const metadata = without(isObject(raw) ? withoutNulls(raw) : {}, 'managedFields', 'selfLink')
  return {
    ...value,
    apiVersion: apiVersionOf(resource),
    kind: resource.kind,
    metadata: { ...metadata, name: textAt(metadata, 'name') },
  }
}

function withoutNulls(object: { readonly [key: string]: JsonValue | undefined }): typeof object {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== null))
}

const protobuf = 'application/vnd.kubernetes.protobuf'

/** JSON, and the protobuf of a few kinds; anything else is a 415. */
export function parseBody(contentType: string, body: Buffer): JsonValue {
  const type = contentType.split(';')[0]?.trim() ?? ''
  if (type === protobuf) return decodeProtobufBody(body)
  if (type !== '' && type !== 'application/json' && type !== '*/*')
    throw unsupportedMediaType(type, ['application/json'])
  try {
    return JSON.parse(body.toString()) as JsonValue
  } catch (error) {
    throw badRequest(
      `error decoding the body of the request: ${error instanceof Error ? error.message : String(error)}`,
    )
  }
}
