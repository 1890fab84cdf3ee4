import { err, ok, unwrap } from '../base/result.ts'
import type { ApiClient, ApiResult, Patch } from './api-client.ts'
import type { ApiError, ApiErrorKind } from './api-error.ts'
import {
  apiVersionOf,
  type JsonObject,
  type KubeObject,
  type Manifest,
  objectKey,
  type ObjectRef,
  type Resource,
} from './object.ts'

type Verb = 'get' | 'create' | 'patch'

/** The API server's rules about names and resourceVersions, in memory. */
export class FakeApi implements Pick<ApiClient, Verb> {
  readonly objects = new Map<string, JsonObject>()
  /** What the next calls meet: a failure, or no answer before the signal aborts. */
  trouble: (verb: Verb, key: string) => ApiErrorKind | 'hang' | undefined = () => undefined
  #version = 0

  get<T extends KubeObject>(resource: Resource<T>, ref: ObjectRef, signal: AbortSignal): ApiResult<T> {
    return this.#call('get', resource, ref, signal, (found) => found ?? error('notFound'))
  }

  create<T extends KubeObject>(resource: Resource<T>, manifest: Manifest, signal: AbortSignal): ApiResult<T> {
    return this.#call('create', resource, manifest.metadata, signal, (found, key) =>
      found === undefined ? this.#store(key, manifest, `uid-${key}`) : error('alreadyExists'),
    )
  }

  patch<T extends KubeObject>(resource: Resource<T>, ref: ObjectRef, patch: Patch, signal: AbortSignal): ApiResult<T> {
    return this.#call('patch', resource, ref, signal, (found, key) => {
      if (found === undefined) return error('notFound')
      if (patch.type !== 'merge') throw new Error('the fake knows merge patches only')
      const wanted = patch.body['metadata'] as JsonObject | undefined
      const now = found['metadata'] as JsonObject
      const version = wanted?.['resourceVersion']
      if (version !== undefined && version !== now['resourceVersion']) return error('conflict')
      return this.#store(key, merge(found, patch.body), now['uid'] as string)
    })
  }

  async #call<T extends KubeObject>(
    verb: Verb,
    resource: Resource<T>,
    ref: ObjectRef,
    signal: AbortSignal,
    answer: (found: JsonObject | undefined, key: string) => JsonObject | ApiError,
  ): ApiResult<T> {
    const key = `${apiVersionOf(resource)}/${resource.plural}/${objectKey(ref)}`
    const trouble = this.trouble(verb, key)
    await Promise.resolve()
    signal.throwIfAborted()
    if (trouble === 'hang') return untilAborted(signal)
    if (trouble !== undefined) return err({ request: verb, message: 'trouble', ...trouble })
    const answered = answer(this.objects.get(key), key)
    return 'kind' in answered && 'request' in answered
      ? err(answered as ApiError)
      : ok(unwrap(resource.parse(answered)))
  }

  #store(key: string, object: JsonObject, uid: string): JsonObject {
    const metadata = { ...(object['metadata'] as JsonObject), uid, resourceVersion: String(++this.#version) }
    const stored = { ...object, metadata }
    this.objects.set(key, stored)
    return stored
  }
}

function error(kind: 'notFound' | 'alreadyExists' | 'conflict'): ApiError {
  return { kind, request: 'fake', message: kind }
}

function merge(target: JsonObject, patch: JsonObject): JsonObject {
  const merged: Record<string, JsonObject[string]> = { ...target }
  for (const [name, value] of Object.entries(patch)) {
    const before = merged[name]
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    merged[name] = isObject ? merge((before ?? {}) as JsonObject, value as JsonObject) : value
  }
  return merged
}

function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
  })
}
