import { columnsOf } from './core-columns.ts'
import type { JsonObject, KubeObject } from './objects.ts'
import { apiVersionOf, type Resource } from './resources.ts'
import { notAcceptable } from './status-error.ts'
import { type IncludeObject, renderTable } from './tables.ts'

/** The form in which a client wants to have objects (API concepts, "alternate representations"). */
export type Form =
  | { readonly kind: 'object' }
  | { readonly kind: 'table'; readonly include: IncludeObject }
  | { readonly kind: 'metadata' }

/** The first form of the Accept header that this server can give; protobuf it cannot. */
export function negotiate(accept: string | undefined, query: URLSearchParams): Form {
  for (const range of (accept ?? '*/*').split(',')) {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim())
    if (!['application/json', 'application/*', '*/*', 'application/yaml', ''].includes(type)) continue
    const as = parameters.find((parameter) => parameter.startsWith('as='))?.slice('as='.length)
    if (as === undefined) return { kind: 'object' }
    // Of Table's versions v1 alone; a client that also takes plain JSON falls back to it.
    const isV1 = parameters.includes('v=v1') && parameters.includes('g=meta.k8s.io')
    if (as === 'Table' && isV1) return { kind: 'table', include: parseInclude(query.get('includeObject')) }
    if (as.startsWith('PartialObjectMetadata') && isV1) return { kind: 'metadata' }
  }
  throw notAcceptable()
}

function parseInclude(text: string | null): IncludeObject {
  return text === 'None' || text === 'Object' ? text : 'Metadata'
}

export function renderObject(object: KubeObject, resource: Resource, form: Form, nowMs: number): JsonObject {
  if (form.kind === 'object') return object
  if (form.kind === 'metadata') return partial(object)
  const metadata = { resourceVersion: object.metadata.resourceVersion ?? '' }
  return renderTable([object], columnsOf(resource), { include: form.include, metadata, nowMs })
}

export interface ObjectList {
  readonly objects: readonly KubeObject[]
  readonly metadata: JsonObject
}

export function renderList(
  { objects, metadata }: ObjectList,
  resource: Resource,
  form: Form,
  nowMs: number,
): JsonObject {
  if (form.kind === 'table')
    return renderTable(objects, columnsOf(resource), { include: form.include, metadata, nowMs })
  if (form.kind === 'metadata') {
    return { kind: 'PartialObjectMetadataList', apiVersion: 'meta.k8s.io/v1', metadata, items: objects.map(partial) }
  }
  return { kind: resource.listKind, apiVersion: apiVersionOf(resource), metadata, items: objects }
}

function partial({ metadata }: KubeObject): JsonObject {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata }
}
