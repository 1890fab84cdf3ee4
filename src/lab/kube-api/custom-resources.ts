import { err, ok, type Result } from '../../base/result.ts'
import { isObject, type JsonObject, type JsonValue, type KubeObject, listAt, objectAt, textAt } from './objects.ts'
import { parseJsonPath } from './json-path.ts'
import type { Resource } from './resources.ts'
import type { Schema } from './schema.ts'
import type { Cause } from './status-error.ts'
import { customColumns } from './tables.ts'
import { compileSchema } from './validation.ts'

export const crdStorage = 'customresourcedefinitions.apiextensions.k8s.io'
export const crdCleanupFinalizer = 'customresourcecleanup.apiextensions.k8s.io'

/** The kinds that a CRD defines: one for every served version, all over one storage. */
export function resourcesOfCrd(crd: KubeObject): readonly Resource[] {
  return listAt(crd, 'spec', 'versions')
    .filter((version) => textAt(version, 'served') === 'true')
    .map((version) => resourceOfVersion(crd, version))
}

function resourceOfVersion(crd: KubeObject, version: JsonValue): Resource {
  const names = objectAt(crd, 'spec', 'names')
  const kind = textAt(names, 'kind')
  const schema = rootSchema(version)
  return {
    group: textAt(crd, 'spec', 'group'),
    version: textAt(version, 'name'),
    plural: textAt(names, 'plural'),
    singular: textAt(names, 'singular') || kind.toLowerCase(),
    kind,
    listKind: textAt(names, 'listKind') || `${kind}List`,
    shortNames: listAt(names, 'shortNames').map((name) => textAt(name)),
    categories: listAt(names, 'categories').map((name) => textAt(name)),
    namespaced: textAt(crd, 'spec', 'scope') === 'Namespaced',
    storage: crd.metadata.name,
    hasStatus: isObject(objectAt(version, 'subresources')['status']),
    model: {
      type: 'custom',
      schema: withTypeMeta(schema),
      validate: compileSchema(schema),
      columns: customColumns(listAt(version, 'additionalPrinterColumns')),
      crdName: crd.metadata.name,
    },
  }
}

function rootSchema(version: JsonValue): Schema {
  return objectAt(version, 'schema', 'openAPIV3Schema')
}

// A CRD need not describe what every object has, and what it says of metadata goes no further than its name.
function withTypeMeta(schema: Schema): Schema {
  const text = { type: 'string' }
  const typeMeta = { apiVersion: text, kind: text, metadata: { $ref: '#/definitions/V1ObjectMeta' } }
  return { ...schema, properties: { ...objectAt(schema, 'properties'), ...typeMeta } }
}

/** The version that objects are stored in: a CRD has exactly one. */
export function storageVersion(crd: KubeObject): string {
  return textAt(
    listAt(crd, 'spec', 'versions').find((version) => textAt(version, 'storage') === 'true'),
    'name',
  )
}

/** Defaults, and the status that the API server gives a CRD that it accepts. */
export function establishCrd(crd: KubeObject, now: string): KubeObject {
  const names = objectAt(crd, 'spec', 'names')
  const kind = textAt(names, 'kind')
  const completed = { singular: kind.toLowerCase(), listKind: `${kind}List`, ...names }
  const stored = new Set([...listAt(crd, 'status', 'storedVersions').map((v) => textAt(v)), storageVersion(crd)])
  const previous = listAt(crd, 'status', 'conditions')
  const conditions = established.map(({ type, reason, message }) => {
    const before = previous.find((condition) => textAt(condition, 'type') === type)
    return before ?? { type, status: 'True', lastTransitionTime: now, reason, message }
  })
  return {
    ...crd,
    spec: { conversion: { strategy: 'None' }, ...objectAt(crd, 'spec'), names: completed },
    status: { conditions, acceptedNames: completed, storedVersions: [...stored] },
  }
}

const established = [
  { type: 'NamesAccepted', reason: 'NoConflicts', message: 'no conflicts found' },
  { type: 'Established', reason: 'InitialNamesAccepted', message: 'the initial names have been accepted' },
] as const

/** What a real API server refuses about a CRD, as far as it matters to whoever writes one. */
export function crdCauses(crd: KubeObject): readonly Cause[] {
  const spec = objectAt(crd, 'spec')
  const versions = listAt(spec, 'versions')
  const expectedName = `${textAt(spec, 'names', 'plural')}.${textAt(spec, 'group')}`
  const causes: Cause[] = []
  for (const path of [['group'], ['scope'], ['names', 'plural'], ['names', 'kind']]) {
    if (textAt(spec, ...path) === '') causes.push(required(`spec.${path.join('.')}`))
  }
  if (crd.metadata.name !== expectedName) {
    causes.push(invalidValue('metadata.name', crd.metadata.name, 'must be spec.names.plural+"."+spec.group'))
  }
  if (!['Namespaced', 'Cluster', ''].includes(textAt(spec, 'scope'))) {
    const message = `Unsupported value: ${JSON.stringify(textAt(spec, 'scope'))}: supported values: "Cluster", "Namespaced"`
    causes.push({ reason: 'FieldValueNotSupported', field: 'spec.scope', message })
  }
  const stored = versions.filter((version) => textAt(version, 'storage') === 'true').length
  if (stored !== 1)
    causes.push(
      invalidValue('spec.versions', versions.length, 'must have exactly one version marked as storage version'),
    )
  return [...causes, ...versions.flatMap((version, index) => versionCauses(version, `spec.versions[${index}]`))]
}

function versionCauses(version: JsonValue, path: string): readonly Cause[] {
  const schema = rootSchema(version)
  const at = `${path}.schema.openAPIV3Schema`
  if (Object.keys(schema).length === 0) return [required(at)]
  const compiled = tryCompile(schema)
  return [
    ...(compiled.ok ? [] : [invalidValue(at, '', compiled.error)]),
    ...structuralCauses(schema, at),
    ...listAt(version, 'additionalPrinterColumns').flatMap((column, index) => {
      const parsed = parseJsonPath(textAt(column, 'jsonPath'))
      if (parsed.ok) return []
      const field = `${path}.additionalPrinterColumns[${index}].jsonPath`
      return [invalidValue(field, textAt(column, 'jsonPath'), parsed.error)]
    }),
  ]
}

function tryCompile(schema: Schema): Result<undefined, string> {
  try {
    compileSchema(schema)
    return ok(undefined)
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error))
  }
}

/** A structural schema gives every value a type, unless it says that anything or int-or-string goes. */
function structuralCauses(schema: Schema, path: string): readonly Cause[] {
  const isTyped =
    typeof schema['type'] === 'string' ||
    schema['x-kubernetes-int-or-string'] === true ||
    schema['x-kubernetes-preserve-unknown-fields'] === true
  const { items, additionalProperties } = schema
  const members = Object.entries(objectAt(schema, 'properties')).map(
    ([name, member]) => [`${path}.properties[${name}]`, member] as const,
  )
  const parts: readonly (readonly [string, JsonValue | undefined])[] = [
    ...members,
    [`${path}.items`, items],
    [`${path}.additionalProperties`, additionalProperties],
  ]
  const own = isTyped
    ? []
    : [{ ...required(`${path}.type`), message: 'Required value: must not be empty for specified object fields' }]
  return [...own, ...parts.flatMap(([at, part]) => (isObject(part) ? structuralCauses(part, at) : []))]
}

/** Rules in CEL are not evaluated here: whoever relies on them is told so. */
export function crdWarnings(crd: JsonObject): readonly string[] {
  const hasRules = JSON.stringify(crd).includes('"x-kubernetes-validations"')
  return hasRules ? ["x-kubernetes-validations are not evaluated by the lab's API server"] : []
}

function required(field: string): Cause {
  return { reason: 'FieldValueRequired', field, message: 'Required value' }
}

function invalidValue(field: string, value: JsonValue, why: string): Cause {
  return { reason: 'FieldValueInvalid', field, message: `Invalid value: ${JSON.stringify(value)}: ${why}` }
}
