import { ok, type Result } from '../../base/result.ts'
import { type ApiError, refuse } from './api-error.ts'
import type { CloudModel } from './cloud-model.ts'
import type { Json } from './wire.ts'

export interface ApiRequest {
  /** Of the path; empty where the path has none. */
  readonly id: string
  readonly query: Query
  readonly body: Buffer
}

export type Query = Readonly<Record<string, string>>

export type Answer =
  | { readonly kind: 'resource'; readonly id: string; readonly etag: string; readonly body: Json }
  | { readonly kind: 'list'; readonly items: readonly ListItem[] }
  | { readonly kind: 'nothing' }

export interface ListItem {
  readonly key: string
  readonly body: Json
}

export type ApiResult = Result<Answer, ApiError>

/** One operation of the API, named as in its reference. */
export interface ApiOperation {
  readonly name: string
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** Below the base path; `:id` is the resource's. */
  readonly path: string
  readonly run: (cloud: CloudModel, request: ApiRequest) => ApiResult | Promise<ApiResult>
  /** Where if-match counts: the resource's etag now. */
  readonly etag?: (cloud: CloudModel, id: string) => string
  /** Where a retry token counts: the resource as it is now. */
  readonly recall?: (cloud: CloudModel, id: string) => ApiResult
}

/** A kind of resource: where its records are, and how the API shows one. */
export interface Collection<T extends { readonly id: string }> {
  readonly what: string
  readonly table: (cloud: CloudModel) => {
    get(id: string): T | undefined
    all(): readonly T[]
    etag(id: string): string
  }
  readonly wire: (cloud: CloudModel, record: T) => Json
}

export function getOperation<T extends { readonly id: string }>(
  name: string,
  path: string,
  collection: Collection<T>,
): ApiOperation {
  return { name, method: 'GET', path, run: (cloud, { id }) => find(cloud, collection, id) }
}

export function listOperation<T extends { readonly id: string }>(
  name: string,
  path: string,
  collection: Collection<T>,
  /** What the query's parameters are compared with, by their names. */
  valuesOf: (record: T, cloud: CloudModel) => Readonly<Record<string, string | undefined>>,
  required: readonly string[] = ['compartmentId'],
): ApiOperation {
  return {
    name,
    method: 'GET',
    path,
    run: (cloud, { query }) => {
      const missing = required.find((parameter) => query[parameter] === undefined)
      if (missing !== undefined) return refuse('MissingParameter', `${missing} is required`)
      const records = collection.table(cloud).all()
      return listOf(
        cloud,
        collection,
        records.filter((record) => matches(query, valuesOf(record, cloud))),
      )
    },
  }
}

export function find<T extends { readonly id: string }>(
  cloud: CloudModel,
  collection: Collection<T>,
  id: string,
): ApiResult {
  const record = collection.table(cloud).get(id)
  return record === undefined ? notFound(collection, id) : show(cloud, collection, record)
}

export function show<T extends { readonly id: string }>(
  cloud: CloudModel,
  collection: Collection<T>,
  record: T,
): ApiResult {
  const { id } = record
  return ok({ kind: 'resource', id, etag: collection.table(cloud).etag(id), body: collection.wire(cloud, record) })
}

export function listOf<T extends { readonly id: string }>(
  cloud: CloudModel,
  { wire }: Collection<T>,
  records: readonly T[],
): ApiResult {
  return ok({ kind: 'list', items: records.map((record) => ({ key: record.id, body: wire(cloud, record) })) })
}

export function notFound({ what }: { readonly what: string }, id: string): ApiResult {
  return refuse('NotAuthorizedOrNotFound', `${what} ${id} does not exist, or you may not see it`)
}

function matches(query: Query, values: Readonly<Record<string, string | undefined>>): boolean {
  return Object.entries(values).every(([name, value]) => query[name] === undefined || query[name] === value)
}
