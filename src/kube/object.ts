import * as z from 'zod'
import { err, ok, type Result } from '../base/result.ts'
import { type FieldError, parseWith } from '../base/schema.ts'

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject
export interface JsonObject {
  readonly [key: string]: JsonValue | undefined
}

/** The parts of ObjectMeta (apimachinery meta/v1) that are used here. */
export interface ObjectMeta {
  readonly name: string
  /** Absent on cluster-scoped objects. */
  readonly namespace?: string
  readonly uid: string
  /** Opaque: compared for equality only, sent back as it came. */
  readonly resourceVersion: string
  readonly generation?: number
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  readonly finalizers: readonly string[]
  readonly ownerReferences: readonly OwnerReference[]
  /** RFC 3339, by the API server's clock. */
  readonly creationTimestamp?: string
  readonly deletionTimestamp?: string
}

// A type, not an interface: it is also sent, and only types fit JsonObject.
export type OwnerReference = {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly uid: string
  readonly controller?: boolean
  readonly blockOwnerDeletion?: boolean
}

export interface KubeObject {
  readonly metadata: ObjectMeta
}

/** Names one object of a resource. */
export interface ObjectRef {
  readonly namespace?: string
  readonly name: string
}

/** What to write: apiVersion and kind are the client's to fill in. */
export type Manifest = JsonObject & {
  readonly metadata: JsonObject & { readonly name: string; readonly namespace?: string }
}

/** Where the API server keeps a kind of object, and how one is read. */
export interface Resource<T extends KubeObject> {
  /** Empty for the core group. */
  readonly group: string
  readonly version: string
  readonly plural: string
  readonly kind: string
  readonly namespaced: boolean
  /** A view on the object: fields that nobody here uses are not in it. Never write it back whole; patch instead. */
  readonly parse: (raw: unknown) => Result<T, readonly FieldError[]>
}

/** An object that its resource's parser refused, with what could be read of it. */
export interface MalformedObject {
  readonly key: string
  readonly resourceVersion?: string
  readonly errors: readonly FieldError[]
}

/** `namespace/name`, or `name` alone: the key of caches and queues (client-go's MetaNamespaceKey). */
export function objectKey(ref: ObjectRef): string {
  return ref.namespace === undefined ? ref.name : `${ref.namespace}/${ref.name}`
}

export function parseObjectKey(key: string): ObjectRef {
  const slash = key.indexOf('/')
  return slash < 0 ? { name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) }
}

export function apiVersionOf(resource: { readonly group: string; readonly version: string }): string {
  return resource.group === '' ? resource.version : `${resource.group}/${resource.version}`
}

// Go clients write empty maps and lists as null when the field has no omitempty.
const stringMap = z
  .record(z.string(), z.string())
  .nullish()
  .transform((map) => map ?? {})

const ownerReference: z.ZodType<OwnerReference> = z
  .object({
    apiVersion: z.string(),
    kind: z.string(),
    name: z.string(),
    uid: z.string(),
    controller: z.boolean().optional(),
    blockOwnerDeletion: z.boolean().optional(),
  })
  .transform(withoutUndefined)

export const objectMeta: z.ZodType<ObjectMeta> = z
  .object({
    name: z.string().min(1),
    namespace: z.string().min(1).optional(),
    uid: z.string().default(''),
    resourceVersion: z.string().default(''),
    generation: z.number().optional(),
    labels: stringMap,
    annotations: stringMap,
    finalizers: z
      .array(z.string())
      .nullish()
      .transform((list) => list ?? []),
    ownerReferences: z
      .array(ownerReference)
      .nullish()
      .transform((list) => list ?? []),
    creationTimestamp: z
      .string()
      .nullish()
      .transform((at) => at ?? undefined),
    deletionTimestamp: z
      .string()
      .nullish()
      .transform((at) => at ?? undefined),
  })
  .transform(withoutUndefined)

type Present<T> = { [K in keyof T]: Exclude<T[K], undefined> }
type OptionalKeys<T> = { [K in keyof T]-?: undefined extends T[K] ? K : never }[keyof T]
export type WithoutUndefined<T> = Omit<T, OptionalKeys<T>> & Partial<Present<Pick<T, OptionalKeys<T>>>>

/** zod writes `undefined` into optional fields; exactOptionalPropertyTypes, JSON and comparisons want them absent. */
export function withoutUndefined<T extends object>(value: T): WithoutUndefined<T> {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as WithoutUndefined<T>
}

const metadataOnly = z.object({ metadata: objectMeta })

/** Any object, whatever its kind: metadata, and the rest as it came. */
export interface UntypedObject extends KubeObject {
  readonly raw: JsonObject
}

export function parseUntyped(raw: unknown): Result<UntypedObject, readonly FieldError[]> {
  const parsed = parseWith(metadataOnly, raw)
  return parsed.ok ? ok({ metadata: parsed.value.metadata, raw: raw as JsonObject }) : parsed
}

const textOrNothing = z.string().min(1).optional().catch(undefined)
const identityOnly = z
  .object({
    metadata: z.object({ name: textOrNothing, namespace: textOrNothing, resourceVersion: textOrNothing }).catch({}),
  })
  .catch({ metadata: {} })

/** What can be said about an object whose parser refused it: enough to find and delete it by. */
export function describeMalformed(raw: unknown, errors: readonly FieldError[]): MalformedObject {
  const { metadata } = identityOnly.parse(raw)
  const { name, namespace, resourceVersion } = metadata
  const key = name === undefined ? '' : objectKey({ name, ...(namespace !== undefined && { namespace }) })
  return { key, ...(resourceVersion !== undefined && { resourceVersion }), errors }
}

/** A parser for objects whose schema is `schema`. */
export function parserOf<T extends KubeObject>(
  schema: z.ZodType<T>,
): (raw: unknown) => Result<T, readonly FieldError[]> {
  return (raw) => {
    const parsed = parseWith(schema, raw)
    return parsed.ok ? parsed : err(parsed.error)
  }
}
