import * as models from '@kubernetes/client-node'
import type { JsonObject } from './objects.ts'
import { mergeKeys } from './merge-keys.ts'
import type { ResolveRef, Schema } from './schema.ts'

interface Attribute {
  readonly baseName: string
  readonly type: string
  readonly format: string
}

/**
 * The fields of the built-in kinds, read from the type maps that Kubernetes' own API description generated into
 * @kubernetes/client-node: V1Pod and its parts, by model name.
 */
export function coreDefinition(model: string): Schema {
  const known = definitions.get(model)
  if (known !== undefined) return known
  const derived = derive(model)
  definitions.set(model, derived)
  return derived
}

export const resolveCore: ResolveRef = (ref) => coreDefinition(ref.slice(refPrefix.length))

/** Every definition that the given ones lead to, themselves included: what an OpenAPI document has to hold. */
export function reachableDefinitions(roots: readonly string[]): ReadonlyMap<string, Schema> {
  const reached = new Map<string, Schema>()
  const pending = [...roots]
  for (let model = pending.pop(); model !== undefined; model = pending.pop()) {
    if (reached.has(model)) continue
    const definition = coreDefinition(model)
    reached.set(model, definition)
    for (const [, ref] of JSON.stringify(definition).matchAll(/"#\/definitions\/(\w+)"/g)) if (ref) pending.push(ref)
  }
  return reached
}

const refPrefix = '#/definitions/'
// A cache of pure derivations from a constant table, filled on demand: the tables are large and few are used.
const definitions = new Map<string, Schema>()

function derive(model: string): Schema {
  const properties: Record<string, Schema> = {}
  for (const attribute of attributesOf(model)) {
    const key = mergeKeys[model]?.[attribute.baseName]
    properties[attribute.baseName] = { ...fieldSchema(attribute), ...(key === undefined ? {} : mergeExtension(key)) }
  }
  return { type: 'object', properties }
}

function mergeExtension(key: string): JsonObject {
  const strategy = { 'x-kubernetes-patch-strategy': 'merge' }
  return key === '' ? strategy : { ...strategy, 'x-kubernetes-patch-merge-key': key }
}

function attributesOf(model: string): readonly Attribute[] {
  const found: unknown = Reflect.get(models, model)
  if (
    typeof found === 'function' &&
    'getAttributeTypeMap' in found &&
    typeof found.getAttributeTypeMap === 'function'
  ) {
    return (found.getAttributeTypeMap as () => readonly Attribute[])()
  }
  throw new Error(`@kubernetes/client-node has no model ${model}`)
}

function fieldSchema({ baseName, type, format }: Attribute): Schema {
  // FieldsV1 is free-form, and managedFields is of no interest here.
  if (baseName === 'managedFields' || baseName === 'fieldsV1') return anything
  if (quantities.includes(baseName)) return { type: 'object', additionalProperties: {} }
  return typeSchema(type, format)
}

// Quantities are declared as text, but a decoder takes bare numbers too (`cpu: 2`).
const quantities = ['limits', 'requests', 'capacity', 'allocatable', 'overhead', 'allocatedResources']
const anything: Schema = { 'x-kubernetes-preserve-unknown-fields': true }
const plainTypes: Readonly<Record<string, Schema>> = {
  string: { type: 'string' },
  boolean: { type: 'boolean' },
  Date: { type: 'string', format: 'date-time' },
  V1MicroTime: { type: 'string', format: 'date-time' },
  IntOrString: { 'x-kubernetes-int-or-string': true },
  any: anything,
  object: anything,
}

function typeSchema(type: string, format: string): Schema {
  const plain = plainTypes[type]
  if (plain !== undefined) return plain
  if (type === 'number') return { type: format === 'double' ? 'number' : 'integer' }
  const list = /^Array<(.+)>$/.exec(type)?.[1]
  if (list !== undefined) return { type: 'array', items: typeSchema(list, format) }
  const map = /^\{ \[key: string\]: (.+); \}$/.exec(type)?.[1]
  if (map !== undefined) return { type: 'object', additionalProperties: typeSchema(map, format) }
  return { $ref: `${refPrefix}${type}` }
}
