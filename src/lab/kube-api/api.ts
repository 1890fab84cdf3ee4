import { type ApiState, keyOf, present, subjectOf, type Target, type WriteOptions, type Written } from './api-state.ts'
import { parseBody } from './decoding.ts'
import { deleteObject, parseDeleteOptions } from './deletes.ts'
import { listObjects, parseVersion, tooOld } from './lists.ts'
import { isList, isObject, type JsonObject, type JsonValue, type KubeObject } from './objects.ts'
import { patchBody } from './patch-body.ts'
import { type Form, negotiate, renderList, renderObject } from './representation.ts'
import { parseTarget } from './request-target.ts'
import { parseSelection } from './selection.ts'
import {
  badRequest,
  expired,
  invalid,
  methodNotAllowed,
  noSuchResource,
  notFound,
  StatusError,
} from './status-error.ts'
import type { WatchRequest } from './watch-stream.ts'
import { bindPod, createObject, updateObject } from './writes.ts'

export interface ApiRequest {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly accept: string | undefined
  readonly contentType: string
  readonly body: Buffer
}

export type ApiAnswer =
  | { readonly kind: 'json'; readonly code: number; readonly body: JsonObject; readonly headers: ApiHeaders }
  | { readonly kind: 'watch'; readonly watch: WatchRequest }
export type ApiHeaders = Readonly<Record<string, string | readonly string[]>>

/** The resource endpoints of the API as a function of a request; errors come back as Status bodies. */
export function answerRequest(state: ApiState, request: ApiRequest): ApiAnswer {
  try {
    const target = parseTarget(request.path, state.registry)
    if (target === undefined) throw noSuchResource()
    return dispatch(state, target, request)
  } catch (error) {
    if (error instanceof StatusError) return statusAnswer(error)
    throw error
  }
}

export function statusAnswer({ code, status, headers }: StatusError): ApiAnswer {
  return { kind: 'json', code, body: status, headers }
}

function dispatch(state: ApiState, target: Target, request: ApiRequest): ApiAnswer {
  const form = negotiate(request.accept, request.query)
  checkSubresource(target, request.method)
  const isCollection = target.name === ''
  switch (request.method) {
    case 'GET':
      return isFlag(request.query.get('watch'))
        ? watch(state, target, request, form)
        : read(state, target, request, form)
    case 'POST':
      return create(state, target, request, form)
    case 'PUT':
    case 'PATCH':
      if (isCollection) throw methodNotAllowed()
      return update(state, target, request, form)
    case 'DELETE':
      return isCollection ? deleteCollection(state, target, request, form) : remove(state, target, request)
    default:
      throw methodNotAllowed()
  }
}

function checkSubresource({ resource, subresource }: Target, method: string): void {
  if (subresource === '' || (subresource === 'status' && resource.hasStatus && method !== 'POST')) return
  if (subresource === 'binding' && resource.storage === 'pods' && method === 'POST') return
  // A namespace is freed of spec.finalizers here; the plain object's write does it as well on this server.
  if (subresource === 'finalize' && resource.storage === 'namespaces' && method === 'PUT') return
  throw noSuchResource()
}

function read(state: ApiState, target: Target, request: ApiRequest, form: Form): ApiAnswer {
  const { resource } = target
  const nowMs = state.clock.nowMs()
  if (target.name === '') {
    const list = listObjects(state, target, parseSelection(target, request.query), request.query)
    return json(200, renderList(list, resource, form, nowMs))
  }
  const stored = state.store.get(keyOf(target))
  if (stored === undefined) throw notFound(subjectOf(target))
  return json(200, renderObject(present(stored, resource), resource, form, nowMs))
}

function watch(state: ApiState, target: Target, { query }: ApiRequest, form: Form): ApiAnswer {
  if (query.has('sendInitialEvents')) {
    const message = 'Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled'
    const cause = { reason: 'FieldValueForbidden', field: 'sendInitialEvents', message }
    throw invalid({ group: 'meta.k8s.io', resource: 'listoptions', kind: 'ListOptions', name: '' }, [cause])
  }
  const resourceVersion = query.get('resourceVersion') ?? ''
  const version = parseVersion(resourceVersion)
  if (state.goneAs === 'status' && version > 0 && version < state.store.compactedVersion) {
    throw expired(tooOld(version, state))
  }
  // Without a timeout a real server ends a watch after 30 to 60 minutes (--min-request-timeout).
  const seconds = Number(query.get('timeoutSeconds') ?? 0) || 1800 * (1 + Math.random())
  return {
    kind: 'watch',
    watch: {
      resource: target.resource,
      selection: parseSelection(target, query),
      form,
      resourceVersion,
      wantsBookmarks: isFlag(query.get('allowWatchBookmarks')),
      timeoutMs: seconds * 1000,
    },
  }
}

function create(state: ApiState, target: Target, request: ApiRequest, form: Form): ApiAnswer {
  const body = parseBody(request.contentType, request.body)
  const options = writeOptions(request.query)
  if (target.subresource === 'binding') {
    bindPod(state, target, body, options)
    return json(201, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 })
  }
  if (target.name !== '') throw methodNotAllowed()
  if (target.resource.namespaced && target.namespace === '') throw methodNotAllowed()
  return written(state, target, createObject(state, target, body, options), form, 201)
}

function update(state: ApiState, target: Target, request: ApiRequest, form: Form): ApiAnswer {
  const options = writeOptions(request.query)
  const isPatch = request.method === 'PATCH'
  if (!isPatch) {
    const body = parseBody(request.contentType, request.body)
    const { model } = target.resource
    const isCreation = model.type === 'core' && model.createsOnUpdate && state.store.get(keyOf(target)) === undefined
    if (isCreation) return written(state, target, createObject(state, target, body, options), form, 201)
    return written(
      state,
      target,
      updateObject(state, target, () => body, { ...options, isPatch }),
      form,
      200,
    )
  }
  const change = (current: KubeObject): JsonValue =>
    patchBody(current, target, request.contentType, request.body.toString())
  return written(state, target, updateObject(state, target, change, { ...options, isPatch }), form, 200)
}

function remove(state: ApiState, target: Target, request: ApiRequest): ApiAnswer {
  return json(200, deleteObject(state, target, parseDeleteOptions(optionalBody(request), request.query)))
}

function deleteCollection(state: ApiState, target: Target, request: ApiRequest, form: Form): ApiAnswer {
  const options = parseDeleteOptions(optionalBody(request), request.query)
  const list = listObjects(state, target, parseSelection(target, request.query), request.query)
  for (const { metadata } of list.objects) {
    deleteObject(state, { ...target, namespace: metadata.namespace ?? '', name: metadata.name }, options)
  }
  return json(200, renderList(list, target.resource, form, state.clock.nowMs()))
}

function optionalBody({ contentType, body }: ApiRequest): JsonValue | undefined {
  if (body.length === 0) return undefined
  const parsed = parseBody(contentType, body)
  if (!isObject(parsed) || isList(parsed)) throw badRequest('DeleteOptions must be a JSON object')
  return parsed
}

function writeOptions(query: URLSearchParams): WriteOptions {
  const dryRun = query.getAll('dryRun').filter((value) => value !== '')
  if (dryRun.some((value) => value !== 'All'))
    throw badRequest(`dryRun: Unsupported value: "${dryRun.join(',')}": supported values: "All"`)
  const fieldValidation = query.get('fieldValidation') ?? ''
  switch (fieldValidation) {
    case '':
      return { dryRun: dryRun.length > 0, fieldValidation: 'Warn' }
    case 'Strict':
    case 'Warn':
    case 'Ignore':
      return { dryRun: dryRun.length > 0, fieldValidation }
    default:
      throw badRequest(
        `fieldValidation: Unsupported value: "${fieldValidation}": supported values: "Ignore", "Strict", "Warn"`,
      )
  }
}

function written(state: ApiState, { resource }: Target, result: Written, form: Form, code: number): ApiAnswer {
  // RFC 7234's warn-code 299, in the form that kubectl prints.
  const warning = result.warnings.map((text) => `299 - ${JSON.stringify(text)}`)
  const body = renderObject(result.object, resource, form, state.clock.nowMs())
  return { kind: 'json', code, body, headers: warning.length > 0 ? { warning } : {} }
}

function json(code: number, body: JsonObject): ApiAnswer {
  return { kind: 'json', code, body, headers: {} }
}

function isFlag(text: string | null): boolean {
  return text === 'true' || text === '1'
}
