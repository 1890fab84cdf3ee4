import type { Target } from './api-state.ts'
import { subjectOf } from './api-state.ts'
import { resolveCore } from './core-schemas.ts'
import { schemaOf } from './decoding.ts'
import { isList, isObject, type JsonValue, type KubeObject } from './objects.ts'
import { applyJsonPatch, applyMergePatch } from './patch.ts'
import { badRequest, invalid, unsupportedMediaType } from './status-error.ts'
import { strategicMerge } from './strategic-merge.ts'

const merge = 'application/merge-patch+json'
const strategic = 'application/strategic-merge-patch+json'
const jsonPatch = 'application/json-patch+json'

/** The object that a PATCH asks for. Server-side apply is not supported: 415, as before Kubernetes 1.16. */
export function patchBody(current: KubeObject, target: Target, contentType: string, text: string): JsonValue {
  const type = contentType.split(';')[0]?.trim() ?? ''
  const isCore = target.resource.model.type === 'core'
  // Custom resources know no strategic merge: their lists have no documented merge keys for it.
  const supported = isCore ? [jsonPatch, merge, strategic] : [jsonPatch, merge]
  if (!supported.includes(type)) throw unsupportedMediaType(type, supported)
  const patch = parsePatch(text)
  if (type === jsonPatch) {
    if (!isList(patch)) throw badRequest('a JSON patch must be a list of operations')
    const patched = applyJsonPatch(current, patch)
    if (patched.ok) return patched.value
    const message = `the server rejected our request due to an error in our request: ${patched.error}`
    throw invalid(subjectOf(target), [{ reason: 'FieldValueInvalid', field: 'patch', message }])
  }
  if (!isObject(patch)) throw badRequest('a merge patch must be a JSON object')
  return type === merge
    ? applyMergePatch(current, patch)
    : strategicMerge(current, patch, schemaOf(target.resource), resolveCore)
}

function parsePatch(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue
  } catch (error) {
    throw badRequest(`error decoding patch: ${error instanceof Error ? error.message : String(error)}`)
  }
}
