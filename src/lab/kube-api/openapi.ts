import { reachableDefinitions } from './core-schemas.ts'
import { gitVersion } from './discovery.ts'
import { isList, isObject, type JsonObject, type JsonValue, objectAt } from './objects.ts'
import { apiVersionOf, type Resource } from './resources.ts'
import type { Schema } from './schema.ts'

/**
 * An OpenAPI v2 document, as little as kubectl needs: definitions to validate, explain and patch by, and one PATCH a kind
 * whose parameters tell that dry runs and field validation are supported.
 */
export function openApiDocument(resources: readonly Resource[]): JsonObject {
  const definitions = new Map<string, JsonObject>()
  const roots = resources.flatMap(({ model }) => (model.type === 'core' ? [model.definition] : []))
  for (const [name, schema] of reachableDefinitions([...roots, 'V1ObjectMeta']))
    definitions.set(name, toOpenApi(schema))
  for (const resource of resources) {
    const { model } = resource
    const name = model.type === 'core' ? model.definition : customDefinitionName(resource)
    const schema = model.type === 'core' ? definitions.get(name) : toOpenApi(model.schema)
    definitions.set(name, { ...schema, 'x-kubernetes-group-version-kind': [versionKind(resource)] })
  }
  return {
    swagger: '2.0',
    info: { title: 'vcn-cni lab', version: gitVersion },
    paths: Object.fromEntries(resources.map((resource) => [objectPath(resource), { patch: patchOperation(resource) }])),
    definitions: Object.fromEntries(definitions),
  }
}

function customDefinitionName({ group, version, kind }: Resource): string {
  return `${group.split('.').toReversed().join('.')}.${version}.${kind}`
}

function versionKind({ group, version, kind }: Resource): JsonObject {
  return { group, version, kind }
}

function objectPath(resource: Resource): string {
  const root = resource.group === '' ? `/api/${resource.version}` : `/apis/${apiVersionOf(resource)}`
  return `${root}${resource.namespaced ? '/namespaces/{namespace}' : ''}/${resource.plural}/{name}`
}

function patchOperation(resource: Resource): JsonObject {
  const parameter = (name: string): JsonObject => ({ name, in: 'query', type: 'string', uniqueItems: true })
  return {
    operationId: `patch.${resource.plural}.${apiVersionOf(resource)}`,
    parameters: [parameter('dryRun'), parameter('fieldValidation')],
    responses: {},
    'x-kubernetes-group-version-kind': versionKind(resource),
  }
}

const kept = [
  '$ref',
  'description',
  'format',
  'required',
  'x-kubernetes-patch-strategy',
  'x-kubernetes-patch-merge-key',
]

function toOpenApi(schema: Schema): Schema {
  const { type, properties, items, additionalProperties } = schema
  // Version 2 has no sibling keywords beside a reference.
  if (typeof schema['$ref'] === 'string') return { $ref: schema['$ref'] }
  if (schema['x-kubernetes-int-or-string'] === true) return { type: 'string', format: 'int-or-string' }
  const result: Record<string, JsonValue | undefined> = {}
  for (const key of kept) if (schema[key] !== undefined) result[key] = schema[key]
  if (typeof type === 'string') result['type'] = type
  if (isObject(properties)) {
    result['properties'] = Object.fromEntries(
      Object.keys(properties).map((key) => [key, toOpenApi(objectAt(properties, key))]),
    )
  }
  if (isObject(items)) result['items'] = toOpenApi(items)
  else if (isList(items)) result['items'] = {}
  if (isObject(additionalProperties)) result['additionalProperties'] = toOpenApi(additionalProperties)
  return result
}
