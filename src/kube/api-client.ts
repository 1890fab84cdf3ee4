import type { Result } from '../base/result.ts'
import type { ApiError } from './api-error.ts'
import type { JsonObject, JsonValue, KubeObject, MalformedObject, Manifest, ObjectRef, Resource } from './object.ts'

export type ApiResult<T> = Promise<Result<T, ApiError>>

/**
 * The Kubernetes API as this project uses it. When `signal` aborts, the promise is rejected with its reason; everything
 * else that can go wrong is in the result. Nothing is repeated here: whoever calls knows whether a repeat is safe.
 */
export interface ApiClient {
  get<T extends KubeObject>(resource: Resource<T>, ref: ObjectRef, signal: AbortSignal): ApiResult<T>
  /** One page. */
  listPage<T extends KubeObject>(resource: Resource<T>, query: PageQuery, signal: AbortSignal): ApiResult<ObjectPage<T>>
  /** All pages. An expired continue token is `gone`: begin again. */
  list<T extends KubeObject>(resource: Resource<T>, query: ListQuery, signal: AbortSignal): ApiResult<ObjectList<T>>
  create<T extends KubeObject>(resource: Resource<T>, manifest: Manifest, signal: AbortSignal): ApiResult<T>
  /** With `metadata.resourceVersion` a change by somebody else in between is a `conflict`; without, it is overwritten. */
  replace<T extends KubeObject>(resource: Resource<T>, manifest: Manifest, signal: AbortSignal): ApiResult<T>
  replaceStatus<T extends KubeObject>(resource: Resource<T>, manifest: Manifest, signal: AbortSignal): ApiResult<T>
  /** A merge patch that carries `metadata.resourceVersion` conflicts like a replace. */
  patch<T extends KubeObject>(resource: Resource<T>, ref: ObjectRef, patch: Patch, signal: AbortSignal): ApiResult<T>
  patchStatus<T extends KubeObject>(
    resource: Resource<T>,
    ref: ObjectRef,
    patch: Patch,
    signal: AbortSignal,
  ): ApiResult<T>
  /** Accepted is not gone: finalizers and grace periods come after. */
  delete<T extends KubeObject>(
    resource: Resource<T>,
    ref: ObjectRef,
    options: DeleteOptions,
    signal: AbortSignal,
  ): ApiResult<void>
  /**
   * Resolved when the server accepted the watch. The iterable ends when the server ends the watch (its time is over), and
   * after a `failed` item; leaving the loop or aborting closes the connection. `timeout` when nothing at all came for
   * `silenceMs`.
   */
  watch<T extends KubeObject>(
    resource: Resource<T>,
    query: WatchQuery,
    signal: AbortSignal,
  ): ApiResult<AsyncIterable<WatchItem<T>>>
  /** Closes idle connections. */
  close(): void
}

export interface ListQuery {
  /** Absent: all namespaces. */
  readonly namespace?: string
  /** Such as `app=web,tier!=cache`. */
  readonly labelSelector?: string
  /** Such as `spec.nodeName=a`. */
  readonly fieldSelector?: string
  /** Objects a page; default 500, as client-go's reflector. */
  readonly pageSize?: number
  /** '0': any state the server has in memory, cheap but possibly old. Absent: the newest. */
  readonly resourceVersion?: string
}

export interface PageQuery extends ListQuery {
  readonly continueToken?: string
}

export interface ObjectList<T extends KubeObject> {
  readonly items: readonly T[]
  readonly malformed: readonly MalformedObject[]
  /** Where a watch goes on from. */
  readonly resourceVersion: string
}

export interface ObjectPage<T extends KubeObject> extends ObjectList<T> {
  readonly continueToken?: string
}

export type Patch =
  /** RFC 7386: null removes a field, lists are replaced whole. */
  | { readonly type: 'merge'; readonly body: JsonObject }
  /** RFC 6902. */
  | { readonly type: 'json'; readonly operations: readonly JsonPatchOperation[] }
  /** Lists with a merge key are merged by it. Built-in kinds only: the server refuses it for custom resources. */
  | { readonly type: 'strategic'; readonly body: JsonObject }

export type JsonPatchOperation =
  | { readonly op: 'add' | 'replace' | 'test'; readonly path: string; readonly value: JsonValue }
  | { readonly op: 'remove'; readonly path: string }

export interface DeleteOptions {
  /** Preconditions: refused with `conflict` unless the object is this one, in this state. */
  readonly uid?: string
  readonly resourceVersion?: string
  readonly gracePeriodSeconds?: number
  readonly propagationPolicy?: 'Orphan' | 'Background' | 'Foreground'
}

export interface WatchQuery {
  readonly namespace?: string
  readonly labelSelector?: string
  readonly fieldSelector?: string
  /** Of a list or an earlier item. */
  readonly resourceVersion: string
  /** How long the server keeps the watch open. */
  readonly timeoutSeconds: number
  /** Longest time without a single byte; bookmarks come about once a minute from a healthy server. */
  readonly silenceMs: number
}

export type WatchItem<T extends KubeObject> =
  | { readonly type: 'added' | 'modified' | 'deleted'; readonly object: T }
  /** Nothing changed up to `resourceVersion`. */
  | { readonly type: 'bookmark'; readonly resourceVersion: string }
  | { readonly type: 'malformed'; readonly change: 'added' | 'modified' | 'deleted'; readonly object: MalformedObject }
  /** The last item: an ERROR event (`gone` when the resourceVersion is too old), or the connection broke. */
  | { readonly type: 'failed'; readonly error: ApiError }
