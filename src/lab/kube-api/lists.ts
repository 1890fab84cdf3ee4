import { type ApiState, present, subjectOf, type Target } from './api-state.ts'
import type { KubeObject } from './objects.ts'
import type { ObjectList } from './representation.ts'
import type { Selection } from './selection.ts'
import { badRequest, expired, invalid, tooLargeVersion } from './status-error.ts'

interface Continuation {
  readonly version: number
  readonly namespace: string
  readonly name: string
}

/** A list as of one version: limit and continue walk through the same snapshot (API concepts, "large collections"). */
export function listObjects(state: ApiState, target: Target, selection: Selection, query: URLSearchParams): ObjectList {
  const token = query.get('continue') ?? ''
  const continuation = token === '' ? undefined : parseContinue(token)
  const version = continuation?.version ?? askedVersion(state, target, query)
  const found = state.store.listAt(target.resource.storage, target.namespace, version)
  if (found === 'compacted') throw expired(continuation === undefined ? tooOld(version, state) : continueTooOld)
  const selected = found.filter(selection)
  const start = continuation === undefined ? 0 : selected.findIndex((object) => isAfter(object, continuation))
  const rest = start === -1 ? [] : selected.slice(start)
  const limit = Number(query.get('limit') ?? 0) || rest.length
  const page = rest.slice(0, limit)
  const last = page.at(-1)
  const remaining = rest.length - page.length
  const metadata = {
    resourceVersion: String(version),
    ...(remaining > 0 && last !== undefined
      ? { continue: formatContinue(version, last), remainingItemCount: remaining }
      : {}),
  }
  return { objects: page.map((object) => present(object, target.resource)), metadata }
}

/** Which state the list shows: the newest for any version but `resourceVersionMatch=Exact`. */
function askedVersion(state: ApiState, target: Target, query: URLSearchParams): number {
  const text = query.get('resourceVersion') ?? ''
  const match = query.get('resourceVersionMatch') ?? ''
  const problem = matchProblem(text, match)
  if (problem !== undefined) {
    const cause = { reason: 'FieldValueForbidden', field: 'resourceVersionMatch', message: problem }
    throw invalid({ ...subjectOf(target), group: 'meta.k8s.io', kind: 'ListOptions', name: '' }, [cause])
  }
  const asked = parseVersion(text)
  if (asked > state.store.version) throw tooLargeVersion(asked, state.store.version)
  return match === 'Exact' ? asked : state.store.version
}

function matchProblem(version: string, match: string): string | undefined {
  if (match === '') return undefined
  if (version === '') return 'Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided'
  if (match === 'Exact' && version === '0') {
    return 'Forbidden: resourceVersionMatch "Exact" is forbidden for resourceVersion "0"'
  }
  const isKnown = match === 'Exact' || match === 'NotOlderThan'
  return isKnown ? undefined : `Unsupported value: "${match}": supported values: "Exact", "NotOlderThan", ""`
}

/** '' and '0' are 0. */
export function parseVersion(text: string): number {
  if (!/^\d*$/.test(text)) throw badRequest(`Invalid value: ${JSON.stringify(text)}: resourceVersion must be a number`)
  return Number(text)
}

export function tooOld(version: number, { store }: ApiState): string {
  return `too old resource version: ${version} (${store.compactedVersion})`
}

const continueTooOld =
  'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.'

function formatContinue(version: number, { metadata }: KubeObject): string {
  return Buffer.from(JSON.stringify([version, metadata.namespace ?? '', metadata.name])).toString('base64url')
}

function parseContinue(token: string): Continuation {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(token, 'base64url').toString())
    const [version, namespace, name] = Array.isArray(parsed) ? (parsed as readonly unknown[]) : []
    if (typeof version === 'number' && typeof namespace === 'string' && typeof name === 'string') {
      return { version, namespace, name }
    }
  } catch {
    // Falls through to the answer for every token that this server has not made.
  }
  throw badRequest('continue key is not valid')
}

function isAfter({ metadata }: KubeObject, { namespace, name }: Continuation): boolean {
  return `${metadata.namespace ?? ''}/${metadata.name}` > `${namespace}/${name}`
}
