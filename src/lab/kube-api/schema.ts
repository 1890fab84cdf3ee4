import { isList, isObject, type JsonObject, type JsonValue, same, withKey } from './objects.ts'

/** An OpenAPI schema as a CRD states it, or as `core-schemas.ts` derives it; `$ref` leads to the latter. */
export type Schema = JsonObject
export type ResolveRef = (ref: string) => Schema

export interface Pruned {
  readonly value: JsonValue
  /** Paths of the fields that the schema does not know: `spec.subnets[0].cidrr`. */
  readonly unknown: readonly string[]
}

/** Removes what the schema does not specify (API concepts, "field pruning"). */
export function prune(value: JsonValue, schema: Schema, resolve: ResolveRef, path = ''): Pruned {
  const resolved = deref(schema, resolve)
  if (isList(value)) return pruneList(value, resolved, resolve, path)
  if (!isObject(value) || resolved['x-kubernetes-preserve-unknown-fields'] === true) return { value, unknown: [] }
  const entries: [string, JsonValue][] = []
  const unknown: string[] = []
  for (const [key, child] of Object.entries(value)) {
    if (child === undefined) continue
    const at = path === '' ? key : `${path}.${key}`
    const childSchema = memberSchema(resolved, key)
    if (isTypeMeta(key) && isEmbedded(resolved)) entries.push([key, child])
    else if (childSchema === undefined) unknown.push(at)
    else {
      const pruned = prune(child, childSchema, resolve, at)
      entries.push([key, pruned.value])
      unknown.push(...pruned.unknown)
    }
  }
  return { value: Object.fromEntries(entries), unknown }
}

function pruneList(value: readonly JsonValue[], schema: Schema, resolve: ResolveRef, path: string): Pruned {
  const { items } = schema
  if (!isObject(items)) return { value, unknown: [] }
  const pruned = value.map((item, index) => prune(item, items, resolve, `${path}[${index}]`))
  return { value: pruned.map((item) => item.value), unknown: pruned.flatMap((item) => item.unknown) }
}

/** The schema of one member, `{}` where anything goes, nothing where the member is unknown. */
export function memberSchema(schema: Schema, key: string): Schema | undefined {
  const { properties, additionalProperties } = schema
  if (isObject(properties) && Object.hasOwn(properties, key)) return asSchema(properties[key])
  if (isObject(additionalProperties)) return additionalProperties
  const isOpen = additionalProperties === true || Object.keys(schema).length === 0
  return isOpen ? { 'x-kubernetes-preserve-unknown-fields': true } : undefined
}

export function deref(schema: Schema, resolve: ResolveRef): Schema {
  return typeof schema['$ref'] === 'string' ? resolve(schema['$ref']) : schema
}

/** Fills in defaults; a null for a field that is not nullable counts as absent where there is a default. */
export function applyDefaults(value: JsonValue, schema: Schema): JsonValue {
  if (isList(value)) {
    const { items } = schema
    return isObject(items) ? value.map((item) => applyDefaults(item, items)) : value
  }
  if (!isObject(value)) return value
  let result: JsonObject = value
  if (isObject(schema['properties'])) {
    for (const [key, raw] of Object.entries(schema['properties'])) {
      const member = asSchema(raw)
      const fallback = member['default']
      const current = result[key]
      const isAbsent = current === undefined || (current === null && member['nullable'] !== true)
      if (isAbsent && fallback !== undefined) result = withKey(result, key, fallback)
    }
  }
  for (const [key, child] of Object.entries(result)) {
    const member = memberSchema(schema, key)
    if (member !== undefined && child !== undefined) result = withKey(result, key, applyDefaults(child, member))
  }
  return same(result, value) ? value : result
}

/** What does not have the schema's type, as a decoder into typed fields would refuse it. */
export function typeProblems(value: JsonValue, schema: Schema, resolve: ResolveRef, path = ''): readonly string[] {
  const resolved = deref(schema, resolve)
  // A typed decoder takes null for every field, as its zero value.
  if (value === null) return []
  const { type, items } = resolved
  if (typeof type === 'string' && !typeTests[type]?.(value)) {
    return [`${path === '' ? 'the object' : path} must be of type ${type}, not ${JSON.stringify(value)}`]
  }
  if (isList(value)) {
    return isObject(items)
      ? value.flatMap((item, index) => typeProblems(item, items, resolve, `${path}[${index}]`))
      : []
  }
  if (!isObject(value)) return []
  return Object.entries(value).flatMap(([key, child]) => {
    const member = memberSchema(resolved, key)
    if (member === undefined || child === undefined) return []
    return typeProblems(child, member, resolve, path === '' ? key : `${path}.${key}`)
  })
}

const typeTests: Readonly<Record<string, (value: JsonValue) => boolean>> = {
  string: (value) => typeof value === 'string',
  boolean: (value) => typeof value === 'boolean',
  integer: (value) => Number.isInteger(value),
  number: (value) => typeof value === 'number',
  array: isList,
  object: isObject,
}

function asSchema(value: JsonValue | undefined): Schema {
  return isObject(value) ? value : {}
}

function isTypeMeta(key: string): boolean {
  return key === 'apiVersion' || key === 'kind' || key === 'metadata'
}

function isEmbedded(schema: Schema): boolean {
  return schema['x-kubernetes-embedded-resource'] === true
}
