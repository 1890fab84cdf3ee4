import { isDeepStrictEqual } from 'node:util'

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject
export interface JsonObject {
  readonly [key: string]: JsonValue | undefined
}

export interface OwnerReference extends JsonObject {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly uid: string
  readonly controller?: boolean
  readonly blockOwnerDeletion?: boolean
}

export interface ObjectMeta extends JsonObject {
  readonly name: string
  readonly namespace?: string
  readonly generateName?: string
  readonly uid?: string
  readonly resourceVersion?: string
  readonly generation?: number
  readonly creationTimestamp?: string
  readonly deletionTimestamp?: string
  readonly deletionGracePeriodSeconds?: number
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly finalizers?: readonly string[]
  readonly ownerReferences?: readonly OwnerReference[]
}

export interface KubeObject extends JsonObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: ObjectMeta
}

export function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function isList(value: JsonValue | undefined): value is readonly JsonValue[] {
  return Array.isArray(value)
}

export function objectAt(value: JsonValue | undefined, ...path: readonly string[]): JsonObject {
  const found = valueAt(value, ...path)
  return isObject(found) ? found : {}
}

export function listAt(value: JsonValue | undefined, ...path: readonly string[]): readonly JsonValue[] {
  const found = valueAt(value, ...path)
  return isList(found) ? found : []
}

/** The text at a path; numbers and booleans as they print, anything else (and nothing) as ''. */
export function textAt(value: JsonValue | undefined, ...path: readonly string[]): string {
  const found = valueAt(value, ...path)
  return typeof found === 'string' || typeof found === 'number' || typeof found === 'boolean' ? String(found) : ''
}

export function numberAt(value: JsonValue | undefined, ...path: readonly string[]): number | undefined {
  const found = valueAt(value, ...path)
  return typeof found === 'number' ? found : undefined
}

export function valueAt(value: JsonValue | undefined, ...path: readonly string[]): JsonValue | undefined {
  let current = value
  for (const key of path) {
    if (!isObject(current) || !Object.hasOwn(current, key)) return undefined
    current = current[key]
  }
  return current
}

export function without<T extends JsonObject>(object: T, ...keys: readonly string[]): T {
  if (!keys.some((key) => Object.hasOwn(object, key))) return object
  return Object.fromEntries(Object.entries(object).filter(([key]) => !keys.includes(key))) as T
}

/** Sets a key, or removes it when there is no value: stored objects never hold `undefined`. */
export function withKey<T extends JsonObject>(object: T, key: string, value: JsonValue | undefined): T {
  return value === undefined ? without(object, key) : { ...object, [key]: value }
}

export function withMeta(object: KubeObject, changes: JsonObject): KubeObject {
  let metadata = object.metadata
  for (const [key, value] of Object.entries(changes)) metadata = withKey(metadata, key, value)
  return { ...object, metadata }
}

export function same(left: JsonValue | undefined, right: JsonValue | undefined): boolean {
  return isDeepStrictEqual(left, right)
}

/** How Kubernetes writes a moment: RFC 3339 in whole seconds. */
export function timestamp(epochMs: number): string {
  return `${new Date(epochMs).toISOString().slice(0, 19)}Z`
}
