import * as z from 'zod'
import { err, ok, type Result } from '../base/result.ts'
import { parseWith } from '../base/schema.ts'
import type {
  ApiClient,
  ApiResult,
  DeleteOptions,
  ListQuery,
  ObjectList,
  ObjectPage,
  PageQuery,
  Patch,
  WatchItem,
  WatchQuery,
} from './api-client.ts'
import type { ApiAccess } from './api-access.ts'
import type { ApiError } from './api-error.ts'
import { apiErrorOfAnswer } from './api-status.ts'
import { type HttpAnswer, type HttpRequest, HttpTransport, messageOf, type TransportFailure } from './http-transport.ts'
import {
  apiVersionOf,
  describeMalformed,
  type KubeObject,
  type MalformedObject,
  type Manifest,
  type ObjectRef,
  type Resource,
} from './object.ts'
import { resourcePath } from './resources.ts'
import { watchItems } from './watch-stream.ts'

export interface ApiClientOptions {
  /** Shown in the server's audit log, such as `vcn-cni-controller/1.0`. */
  readonly userAgent: string
  /** For a whole request and its answer; watches are limited by their query instead. Default 30 s. */
  readonly requestTimeoutMs?: number
}

const patchContentTypes: Readonly<Record<Patch['type'], string>> = {
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
  strategic: 'application/strategic-merge-patch+json',
}

const listSchema = z.object({
  metadata: z.object({ resourceVersion: z.string().default(''), continue: z.string().default('') }).prefault({}),
  // Go writes an empty list without items as null.
  items: z.array(z.unknown()).nullable(),
})

// A field that the server does not know is an error, not silently dropped (API concepts, "Field validation").
const strict = { fieldValidation: 'Strict' } as const

export function createApiClient(access: ApiAccess, options: ApiClientOptions): ApiClient {
  return new HttpApiClient(access, options)
}

class HttpApiClient implements ApiClient {
  readonly #transport: HttpTransport
  readonly #timeoutMs: number

  constructor(access: ApiAccess, { userAgent, requestTimeoutMs = 30_000 }: ApiClientOptions) {
    this.#transport = new HttpTransport(access, userAgent)
    this.#timeoutMs = requestTimeoutMs
  }

  get<T extends KubeObject>(resource: Resource<T>, ref: ObjectRef, signal: AbortSignal): ApiResult<T> {
    return this.#object(resource, { method: 'GET', path: resourcePath(resource, ref) }, signal)
  }

  async listPage<T extends KubeObject>(
    resource: Resource<T>,
    query: PageQuery,
    signal: AbortSignal,
  ): ApiResult<ObjectPage<T>> {
    const { namespace, pageSize = 500 } = query
    const parameters = {
      ...selectors(query),
      limit: pageSize === 0 ? undefined : pageSize,
      continue: query.continueToken,
      // The token already says which state it continues; the server refuses both together.
      resourceVersion: query.continueToken === undefined ? query.resourceVersion : undefined,
    }
    const path = `${resourcePath(resource, namespaceOf(namespace))}${queryString(parameters)}`
    const answered = await this.#json({ method: 'GET', path }, signal)
    return answered.ok ? readPage(resource, `GET ${path}`, answered.value) : answered
  }

  async list<T extends KubeObject>(
    resource: Resource<T>,
    query: ListQuery,
    signal: AbortSignal,
  ): ApiResult<ObjectList<T>> {
    const items: T[] = []
    const malformed: MalformedObject[] = []
    let page = await this.listPage(resource, query, signal)
    while (page.ok) {
      items.push(...page.value.items)
      malformed.push(...page.value.malformed)
      const { continueToken, resourceVersion } = page.value
      if (continueToken === undefined) return ok({ items, malformed, resourceVersion })
      page = await this.listPage(resource, { ...query, continueToken }, signal)
    }
    return page
  }

  create<T extends KubeObject>(resource: Resource<T>, manifest: Manifest, signal: AbortSignal): ApiResult<T> {
    const path = `${resourcePath(resource, namespaceOf(manifest.metadata.namespace))}${queryString(strict)}`
    return this.#object(resource, { method: 'POST', path, body: typed(resource, manifest) }, signal)
  }

  replace<T extends KubeObject>(resource: Resource<T>, manifest: Manifest, signal: AbortSignal): ApiResult<T> {
    return this.#replaceAt(resource, manifest, undefined, signal)
  }

  replaceStatus<T extends KubeObject>(resource: Resource<T>, manifest: Manifest, signal: AbortSignal): ApiResult<T> {
    return this.#replaceAt(resource, manifest, 'status', signal)
  }

  patch<T extends KubeObject>(resource: Resource<T>, ref: ObjectRef, patch: Patch, signal: AbortSignal): ApiResult<T> {
    return this.#patchAt(resource, ref, patch, undefined, signal)
  }

  patchStatus<T extends KubeObject>(
    resource: Resource<T>,
    ref: ObjectRef,
    patch: Patch,
    signal: AbortSignal,
  ): ApiResult<T> {
    return this.#patchAt(resource, ref, patch, 'status', signal)
  }

  async delete<T extends KubeObject>(
    resource: Resource<T>,
    ref: ObjectRef,
    { uid, resourceVersion, ...rest }: DeleteOptions,
    signal: AbortSignal,
  ): ApiResult<void> {
    const preconditions = uid === undefined && resourceVersion === undefined ? undefined : { uid, resourceVersion }
    const body = JSON.stringify({ kind: 'DeleteOptions', apiVersion: 'v1', preconditions, ...rest })
    const answered = await this.#json({ method: 'DELETE', path: resourcePath(resource, ref), body }, signal)
    return answered.ok ? ok(undefined) : answered
  }

  async watch<T extends KubeObject>(
    resource: Resource<T>,
    query: WatchQuery,
    signal: AbortSignal,
  ): ApiResult<AsyncIterable<WatchItem<T>>> {
    const { namespace, resourceVersion, timeoutSeconds } = query
    const parameters = {
      ...selectors(query),
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion,
      timeoutSeconds,
    }
    const path = `${resourcePath(resource, namespaceOf(namespace))}${queryString(parameters)}`
    const request = `WATCH ${path}`
    const sent = await this.#transport.send({ method: 'GET', path, timeoutMs: this.#timeoutMs }, signal)
    if (!sent.ok) return err(transportError(request, sent.error))
    if (sent.value.status === 200) return ok(watchItems(resource, request, sent.value.body, query, signal))
    const body = await readText(sent.value, this.#timeoutMs, signal)
    return err(
      body.ok ? apiErrorOfAnswer(request, { ...sent.value, body: body.value }) : transportError(request, body.error),
    )
  }

  close(): void {
    this.#transport[Symbol.dispose]()
  }

  #replaceAt<T extends KubeObject>(
    resource: Resource<T>,
    manifest: Manifest,
    subresource: 'status' | undefined,
    signal: AbortSignal,
  ): ApiResult<T> {
    const path = `${resourcePath(resource, manifest.metadata, subresource)}${queryString(strict)}`
    return this.#object(resource, { method: 'PUT', path, body: typed(resource, manifest) }, signal)
  }

  #patchAt<T extends KubeObject>(
    resource: Resource<T>,
    ref: ObjectRef,
    patch: Patch,
    subresource: 'status' | undefined,
    signal: AbortSignal,
  ): ApiResult<T> {
    const path = `${resourcePath(resource, ref, subresource)}${queryString(strict)}`
    const body = JSON.stringify(patch.type === 'json' ? patch.operations : patch.body)
    return this.#object(resource, { method: 'PATCH', path, body, contentType: patchContentTypes[patch.type] }, signal)
  }

  async #object<T extends KubeObject>(
    resource: Resource<T>,
    request: Omit<HttpRequest, 'timeoutMs'>,
    signal: AbortSignal,
  ): ApiResult<T> {
    const answered = await this.#json(request, signal)
    if (!answered.ok) return answered
    const parsed = resource.parse(answered.value)
    if (parsed.ok) return parsed
    const message = `the ${resource.kind} in the answer does not parse`
    return err({ kind: 'malformed', request: `${request.method} ${request.path}`, message, causes: parsed.error })
  }

  async #json(request: Omit<HttpRequest, 'timeoutMs'>, signal: AbortSignal): ApiResult<unknown> {
    const name = `${request.method} ${request.path}`
    const startedMs = performance.now()
    const sent = await this.#transport.send({ ...request, timeoutMs: this.#timeoutMs }, signal)
    if (!sent.ok) return err(transportError(name, sent.error))
    const body = await readText(sent.value, this.#timeoutMs - (performance.now() - startedMs), signal)
    if (!body.ok) return err(transportError(name, body.error))
    const { status } = sent.value
    if (status < 200 || status > 299) return err(apiErrorOfAnswer(name, { ...sent.value, body: body.value }))
    try {
      return ok(JSON.parse(body.value))
    } catch (error) {
      return err({ kind: 'malformed', request: name, status, message: messageOf(error), causes: [] })
    }
  }
}

function readPage<T extends KubeObject>(
  resource: Resource<T>,
  request: string,
  raw: unknown,
): Result<ObjectPage<T>, ApiError> {
  const list = parseWith(listSchema, raw)
  if (!list.ok) return err({ kind: 'malformed', request, message: 'the answer is not a list', causes: list.error })
  const items: T[] = []
  const malformed: MalformedObject[] = []
  for (const object of list.value.items ?? []) {
    const parsed = resource.parse(object)
    if (parsed.ok) items.push(parsed.value)
    else malformed.push(describeMalformed(object, parsed.error))
  }
  const { resourceVersion, continue: continueToken } = list.value.metadata
  return ok({ items, malformed, resourceVersion, ...(continueToken === '' ? {} : { continueToken }) })
}

async function readText(
  { body }: HttpAnswer,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Result<string, TransportFailure>> {
  const chunks: Buffer[] = []
  const late = new Error('the answer was not complete in time')
  const timer = setTimeout(() => body.destroy(late), timeoutMs)
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) chunks.push(chunk)
    return ok(Buffer.concat(chunks).toString('utf8'))
  } catch (error) {
    signal.throwIfAborted()
    return err({
      kind: error === late ? 'timeout' : 'unreachable',
      message: `the answer broke off: ${messageOf(error)}`,
    })
  } finally {
    clearTimeout(timer)
  }
}

function transportError(request: string, { kind, message }: TransportFailure): ApiError {
  // Without credentials nothing was sent; to the caller it is the same remedy as credentials that were refused.
  return { kind: kind === 'credentials' ? 'unauthorized' : kind, request, message }
}

function typed<T extends KubeObject>(resource: Resource<T>, manifest: Manifest): string {
  return JSON.stringify({ ...manifest, apiVersion: apiVersionOf(resource), kind: resource.kind })
}

function namespaceOf(namespace: string | undefined): Partial<ObjectRef> {
  return namespace === undefined ? {} : { namespace }
}

function selectors({ labelSelector, fieldSelector }: Pick<ListQuery, 'labelSelector' | 'fieldSelector'>): QueryValues {
  return { labelSelector, fieldSelector }
}

type QueryValues = Readonly<Record<string, string | number | undefined>>

function queryString(values: QueryValues): string {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(values)) if (value !== undefined) parameters.set(name, String(value))
  return parameters.size === 0 ? '' : `?${parameters.toString()}`
}
