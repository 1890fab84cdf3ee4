import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv'
import { parseIpv4Cidr } from '../../base/cidr.ts'
import { parseIpv4 } from '../../base/ip.ts'
import { isList, isObject, type JsonObject, type JsonValue, without } from './objects.ts'
import { memberSchema, type Schema } from './schema.ts'
import type { Cause } from './status-error.ts'

const isIpv6 = (text: string): boolean => URL.canParse(`http://[${text}]/`)
const formats = {
  'date-time': (text: string) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/.test(text) && !Number.isNaN(Date.parse(text)),
  ipv4: (text: string) => parseIpv4(text).ok,
  ipv6: isIpv6,
  cidr: (text: string) => parseIpv4Cidr(text).ok || (isIpv6(text.split('/')[0] ?? '') && /\/\d{1,3}$/.test(text)),
  byte: (text: string) => /^[A-Za-z0-9+/]*={0,2}$/.test(text),
  uuid: (text: string) => /^[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}$/i.test(text),
  uri: (text: string) => URL.canParse(text),
} as const

/** A CRD's schema, compiled. An error names what in the schema is not a schema. */
export function compileSchema(schema: Schema): ValidateFunction {
  // Unknown formats and keywords are ignored, as apiextensions documents; its patterns are RE2, hence no /u.
  const ajv = new Ajv({ allErrors: true, verbose: true, strict: false, logger: false, unicodeRegExp: false, formats })
  return ajv.compile(toJsonSchema(schema))
}

const combinators = ['allOf', 'anyOf', 'oneOf'] as const
const annotations = ['default', 'description', 'title', 'example', 'externalDocs', 'nullable']

/** OpenAPI v3.0's dialect to JSON schema: nullable, boolean exclusive bounds, integers that may be text. */
function toJsonSchema(schema: Schema): JsonObject {
  const result: Record<string, JsonValue | undefined> = { ...without(schema, ...annotations) }
  for (const key of Object.keys(result)) if (key.startsWith('x-kubernetes-')) Reflect.deleteProperty(result, key)
  const { type, properties, items, additionalProperties, not } = schema
  if (schema['x-kubernetes-int-or-string'] === true) result['type'] = ['integer', 'string']
  if (schema['nullable'] === true) {
    if (typeof type === 'string') result['type'] = [type, 'null']
    if (isList(schema['enum'])) result['enum'] = [...schema['enum'], null]
  }
  for (const [exclusive, bound] of [
    ['exclusiveMinimum', 'minimum'] as const,
    ['exclusiveMaximum', 'maximum'] as const,
  ]) {
    if (schema[exclusive] === true) result[exclusive] = schema[bound]
    if (schema[exclusive] === false) Reflect.deleteProperty(result, exclusive)
  }
  if (isObject(properties)) result['properties'] = mapValues(properties)
  if (isObject(items)) result['items'] = toJsonSchema(items)
  if (isObject(additionalProperties)) result['additionalProperties'] = toJsonSchema(additionalProperties)
  if (isObject(not)) result['not'] = toJsonSchema(not)
  for (const key of combinators) {
    const branches = schema[key]
    if (isList(branches)) result[key] = branches.map((branch) => toJsonSchema(isObject(branch) ? branch : {}))
  }
  return result
}

function mapValues(properties: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(properties).map(([name, member]) => [name, toJsonSchema(isObject(member) ? member : {})]),
  )
}

/** Everything wrong with a custom object, in the words of a real API server. */
export function schemaCauses(object: JsonObject, schema: Schema, validate: ValidateFunction): readonly Cause[] {
  const isValid = validate(object)
  const errors = isValid ? [] : (validate.errors ?? [])
  return [...errors.filter(isTelling).map(toCause), ...duplicateCauses(object, schema, '')]
}

// A failed branch is told by its own errors; the combinator repeats them without saying more.
function isTelling({ keyword }: ErrorObject): boolean {
  return keyword !== 'if'
}

function toCause(error: ErrorObject): Cause {
  const path = fieldPath(error.instancePath)
  const value = shown(error.data)
  switch (error.keyword) {
    case 'required': {
      const missing = String(Reflect.get(error.params, 'missingProperty'))
      return {
        reason: 'FieldValueRequired',
        field: path === '' ? missing : `${path}.${missing}`,
        message: 'Required value',
      }
    }
    case 'enum': {
      const allowed: unknown = Reflect.get(error.params, 'allowedValues')
      const listed = Array.isArray(allowed) ? allowed.map((item) => JSON.stringify(item)).join(', ') : ''
      const message = `Unsupported value: ${value}: supported values: ${listed}`
      return { reason: 'FieldValueNotSupported', field: path, message }
    }
    case 'type': {
      const type = String(Reflect.get(error.params, 'type'))
      const message = `Invalid value: ${JSON.stringify(typeName(error.data))}: ${path} in body must be of type ${type}: ${JSON.stringify(typeName(error.data))}`
      return { reason: 'FieldValueTypeInvalid', field: path, message }
    }
    default: {
      const why = explanations[error.keyword]?.(error.schema) ?? error.message ?? 'is not valid'
      return { reason: 'FieldValueInvalid', field: path, message: `Invalid value: ${value}: ${path} in body ${why}` }
    }
  }
}

const explanations: Readonly<Record<string, (limit: unknown) => string>> = {
  minimum: (limit) => `should be greater than or equal to ${String(limit)}`,
  maximum: (limit) => `should be less than or equal to ${String(limit)}`,
  pattern: (limit) => `should match '${String(limit)}'`,
  format: (limit) => `must be of type ${String(limit)}`,
  minLength: (limit) => `should be at least ${String(limit)} chars long`,
  maxLength: (limit) => `should be at most ${String(limit)} chars long`,
  minItems: (limit) => `should have at least ${String(limit)} items`,
  maxItems: (limit) => `should have at most ${String(limit)} items`,
}

function duplicateCauses(value: JsonValue, schema: Schema, path: string): readonly Cause[] {
  if (isList(value)) {
    const items = isObject(schema['items']) ? schema['items'] : {}
    const keys = isList(schema['x-kubernetes-list-map-keys'])
      ? schema['x-kubernetes-list-map-keys'].map(String)
      : undefined
    const isUnique = schema['x-kubernetes-list-type'] === 'set' || schema['x-kubernetes-list-type'] === 'map'
    const seen = new Set<string>()
    return value.flatMap((item, index) => {
      const at = `${path}[${index}]`
      const identity = keys && isObject(item) ? Object.fromEntries(keys.map((key) => [key, item[key]])) : item
      const id = JSON.stringify(identity)
      const isRepeated = isUnique && seen.has(id)
      seen.add(id)
      const own = isRepeated ? [{ reason: 'FieldValueDuplicate', field: at, message: `Duplicate value: ${id}` }] : []
      return [...own, ...duplicateCauses(item, items, at)]
    })
  }
  if (!isObject(value)) return []
  return Object.entries(value).flatMap(([key, child]) => {
    const member = memberSchema(schema, key)
    if (member === undefined || child === undefined) return []
    return duplicateCauses(child, member, path === '' ? key : `${path}.${key}`)
  })
}

/** ajv's `/spec/subnets/0/cidr` as Kubernetes writes it: `spec.subnets[0].cidr`. */
function fieldPath(pointer: string): string {
  const tokens = pointer.split('/').slice(1)
  const parts = tokens.map((token) => (/^\d+$/.test(token) ? `[${token}]` : `.${token.replaceAll('~1', '/')}`))
  return parts.join('').replace(/^\./, '')
}

function shown(value: unknown): string {
  return JSON.stringify(value)
}

function typeName(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  return typeof value === 'number' && Number.isInteger(value) ? 'integer' : typeof value
}
