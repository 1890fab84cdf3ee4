import { isList, isObject, type JsonObject, type JsonValue, same, textAt } from './objects.ts'
import { deref, memberSchema, type ResolveRef, type Schema } from './schema.ts'

/**
 * Strategic merge patch (kubernetes/community: contributors/devel/sig-api-machinery/strategic-merge-patch.md), with its
 * directives $patch, $deleteFromPrimitiveList, $setElementOrder and $retainKeys. Which lists merge, and by which key,
 * is written in the schema.
 */
export function strategicMerge(
  target: JsonValue | undefined,
  patch: JsonObject,
  schema: Schema,
  resolve: ResolveRef,
): JsonObject {
  if (patch['$patch'] === 'replace') return stripDirectives(patch)
  if (patch['$patch'] === 'delete') return {}
  const resolved = deref(schema, resolve)
  const merged = new Map(Object.entries(isObject(target) ? target : {}))
  const retained = patch['$retainKeys']
  if (isList(retained)) for (const key of [...merged.keys()]) if (!retained.includes(key)) merged.delete(key)
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith('$') || value === undefined) continue
    if (value === null) merged.delete(key)
    else merged.set(key, mergeMember(merged.get(key), value, memberSchema(resolved, key) ?? {}, resolve))
  }
  applyListDirectives(merged, patch, resolved)
  return Object.fromEntries(merged)
}

function mergeMember(target: JsonValue | undefined, value: JsonValue, schema: Schema, resolve: ResolveRef): JsonValue {
  if (isObject(value)) return strategicMerge(target, value, schema, resolve)
  if (!isList(value)) return value
  if (schema['x-kubernetes-patch-strategy'] !== 'merge') return value.map(stripIfObject)
  const current = isList(target) ? target : []
  const key = schema['x-kubernetes-patch-merge-key']
  if (typeof key === 'string') return mergeByKey(current, value, key, schema, resolve)
  return [...current, ...value.filter((item) => !current.some((existing) => same(existing, item)))]
}

function mergeByKey(
  current: readonly JsonValue[],
  patches: readonly JsonValue[],
  key: string,
  schema: Schema,
  resolve: ResolveRef,
): readonly JsonValue[] {
  const items = isObject(schema['items']) ? schema['items'] : {}
  const isReplaced = patches.some((patch) => isObject(patch) && patch['$patch'] === 'replace')
  let result: readonly JsonValue[] = isReplaced ? [] : current
  for (const patch of patches) {
    if (!isObject(patch) || (patch['$patch'] === 'replace' && !Object.hasOwn(patch, key))) continue
    const id = textAt(patch, key)
    const index = result.findIndex((item) => textAt(item, key) === id)
    if (patch['$patch'] === 'delete') result = result.filter((item) => textAt(item, key) !== id)
    else if (index === -1) result = [...result, strategicMerge(undefined, patch, items, resolve)]
    else result = result.with(index, strategicMerge(result[index], patch, items, resolve))
  }
  return result
}

function applyListDirectives(merged: Map<string, JsonValue | undefined>, patch: JsonObject, schema: Schema): void {
  for (const [directive, value] of Object.entries(patch)) {
    const [name, field] = directive.split('/', 2)
    if (field === undefined || !isList(value)) continue
    const current = merged.get(field)
    if (!isList(current)) continue
    if (name === '$deleteFromPrimitiveList') {
      merged.set(
        field,
        current.filter((item) => !value.some((removed) => same(removed, item))),
      )
    }
    const key = memberSchema(schema, field)?.['x-kubernetes-patch-merge-key']
    if (name === '$setElementOrder') merged.set(field, ordered(current, value, typeof key === 'string' ? key : ''))
  }
}

/** The patch's elements in its order; elements it does not know keep their place before the next known one. */
function ordered(current: readonly JsonValue[], order: readonly JsonValue[], key: string): readonly JsonValue[] {
  const idOf = (item: JsonValue): string => (key === '' ? JSON.stringify(item) : textAt(item, key))
  const positions = new Map(order.map((item, index) => [idOf(item), index]))
  const position = (item: JsonValue): number | undefined => positions.get(idOf(item))
  const known = current
    .filter((item) => position(item) !== undefined)
    .sort((left, right) => (position(left) ?? 0) - (position(right) ?? 0))
  const result: JsonValue[] = []
  for (const item of current) {
    if (position(item) === undefined) result.push(item)
    else result.push(known.shift() ?? item)
  }
  return result
}

function stripIfObject(value: JsonValue): JsonValue {
  return isObject(value) ? stripDirectives(value) : value
}

function stripDirectives(object: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([key]) => !key.startsWith('$')))
}
