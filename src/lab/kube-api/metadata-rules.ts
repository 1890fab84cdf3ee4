import { randomInt } from 'node:crypto'
import { type JsonObject, type KubeObject, listAt, objectAt, textAt } from './objects.ts'
import type { Resource } from './resources.ts'
import type { Cause } from './status-error.ts'

const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
const label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/
const rfc1035Label = /^[a-z]([-a-z0-9]*[a-z0-9])?$/
const qualifiedName = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/
const labelValue = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/

interface NameRule {
  readonly pattern: RegExp
  readonly maxLength: number
  readonly what: string
}

const subdomainRule: NameRule = {
  pattern: subdomain,
  maxLength: 253,
  what: "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
}
const nameRules: Readonly<Record<string, NameRule>> = {
  namespaces: {
    pattern: label,
    maxLength: 63,
    what: "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
  },
  services: {
    pattern: rfc1035Label,
    maxLength: 63,
    what: "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
  },
}
const pathSegmentRule: NameRule = {
  pattern: /^(?!\.{1,2}$)[^/%]+$/,
  maxLength: 253,
  what: "may not contain '/' or '%'",
}

export function metadataCauses(object: KubeObject, resource: Resource): readonly Cause[] {
  const { metadata } = object
  const rule =
    resource.group === 'rbac.authorization.k8s.io' ? pathSegmentRule : (nameRules[resource.storage] ?? subdomainRule)
  const causes: Cause[] = []
  if (metadata.name === '') {
    const message = 'Required value: name or generateName is required'
    causes.push({ reason: 'FieldValueRequired', field: 'metadata.name', message })
  } else if (metadata.name.length > rule.maxLength || !rule.pattern.test(metadata.name)) {
    causes.push(invalid('metadata.name', metadata.name, rule.what))
  }
  for (const [key, value] of Object.entries(metadata.labels ?? {})) {
    if (!qualifiedName.test(key)) causes.push(invalid('metadata.labels', key, 'name part must be a qualified name'))
    if (!labelValue.test(value))
      causes.push(
        invalid(
          'metadata.labels',
          value,
          "a valid label must be an empty string or consist of at most 63 alphanumeric characters, '-', '_' or '.'",
        ),
      )
  }
  for (const key of Object.keys(metadata.annotations ?? {})) {
    if (!qualifiedName.test(key.toLowerCase()))
      causes.push(invalid('metadata.annotations', key, 'name part must be a qualified name'))
  }
  for (const [index, finalizer] of (metadata.finalizers ?? []).entries()) {
    if (!qualifiedName.test(finalizer))
      causes.push(invalid(`metadata.finalizers[${index}]`, finalizer, 'name part must be a qualified name'))
  }
  return [...causes, ...ownerCauses(metadata)]
}

function ownerCauses(metadata: JsonObject): readonly Cause[] {
  const owners = listAt(metadata, 'ownerReferences')
  const missing = owners.flatMap((owner, index) =>
    ['apiVersion', 'kind', 'name', 'uid']
      .filter((field) => textAt(owner, field) === '')
      .map((field) => invalid(`metadata.ownerReferences[${index}].${field}`, '', 'must not be empty')),
  )
  const controllers = owners.filter((owner) => textAt(owner, 'controller') === 'true').length
  if (controllers <= 1) return missing
  return [
    ...missing,
    invalid('metadata.ownerReferences', controllers, 'Only one reference can have Controller set to true'),
  ]
}

function invalid(field: string, value: string | number, why: string): Cause {
  return { reason: 'FieldValueInvalid', field, message: `Invalid value: ${JSON.stringify(value)}: ${why}` }
}

// No vowels and no look-alikes (k8s.io/apimachinery/pkg/util/rand), and names stay within 63 characters.
const alphabet = 'bcdfghjklmnpqrstvwxz2456789'

export function generateName(prefix: string): string {
  const suffix = Array.from({ length: 5 }, () => alphabet[randomInt(alphabet.length)] ?? 'b')
  return `${prefix.slice(0, 58)}${suffix.join('')}`
}

/** The fields that only the server writes keep their values, whatever an update says. */
export function keepServerFields(updated: KubeObject, stored: KubeObject): KubeObject {
  const kept = [
    'uid',
    'creationTimestamp',
    'deletionTimestamp',
    'deletionGracePeriodSeconds',
    'generation',
    'generateName',
    'namespace',
    'resourceVersion',
  ]
  const entries = Object.entries(updated.metadata).filter(([key]) => !kept.includes(key))
  const server = Object.entries(stored.metadata).filter(([key]) => kept.includes(key))
  return { ...updated, metadata: { ...Object.fromEntries([...entries, ...server]), name: stored.metadata.name } }
}

/** A deletion under way takes no new finalizers. */
export function finalizerCauses(updated: KubeObject, stored: KubeObject): readonly Cause[] {
  if (stored.metadata.deletionTimestamp === undefined) return []
  const before = stored.metadata.finalizers ?? []
  const added = (updated.metadata.finalizers ?? []).filter((finalizer) => !before.includes(finalizer))
  if (added.length === 0) return []
  const listed = added.map((finalizer) => JSON.stringify(finalizer)).join(', ')
  const message = `Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{${listed}}`
  return [{ reason: 'FieldValueForbidden', field: 'metadata.finalizers', message }]
}

export function labelsOf(object: KubeObject): Readonly<Record<string, string>> {
  const entries = Object.entries(objectAt(object.metadata, 'labels')).map(
    ([key, value]) => [key, textAt(value)] as const,
  )
  return Object.fromEntries(entries)
}
