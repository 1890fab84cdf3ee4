import { err, ok, type Result } from '../../base/result.ts'
import { isList, isObject, type JsonObject, type JsonValue, same } from './objects.ts'

/** JSON merge patch (RFC 7396): null removes a member, objects merge, everything else replaces. */
export function applyMergePatch(target: JsonValue | undefined, patch: JsonValue): JsonValue {
  if (!isObject(patch)) return patch
  const merged = new Map(Object.entries(isObject(target) ? target : {}))
  for (const [key, value] of Object.entries(patch)) {
    if (value === null || value === undefined) merged.delete(key)
    else merged.set(key, applyMergePatch(merged.get(key), value))
  }
  // fromEntries defines own properties: a member called __proto__ stays data.
  return Object.fromEntries(merged)
}

/** JSON patch (RFC 6902), all operations or none. The error says which one failed and why. */
export function applyJsonPatch(target: JsonValue, operations: readonly JsonValue[]): Result<JsonValue, string> {
  let current = target
  for (const [index, operation] of operations.entries()) {
    const applied = applyOperation(current, isObject(operation) ? operation : {})
    if (!applied.ok) return err(`operation ${index} (${JSON.stringify(operation)}): ${applied.error}`)
    current = applied.value
  }
  return ok(current)
}

function applyOperation(target: JsonValue, operation: JsonObject): Result<JsonValue, string> {
  const path = parsePointer(operation['path'])
  if (!path.ok) return path
  const { value } = operation
  const { op } = operation
  switch (typeof op === 'string' ? op : '') {
    case 'add':
      return value === undefined ? err('"value" is missing') : edit(target, path.value, 'add', value)
    case 'replace':
      return value === undefined ? err('"value" is missing') : edit(target, path.value, 'replace', value)
    case 'remove':
      return edit(target, path.value, 'remove', null)
    case 'test': {
      const found = read(target, path.value)
      if (!found.ok) return found
      return same(found.value, value) ? ok(target) : err(`the value is ${JSON.stringify(found.value)}`)
    }
    case 'copy':
    case 'move':
      return relocate(target, operation, path.value)
    default:
      return err('"op" must be one of add, remove, replace, move, copy, test')
  }
}

function relocate(target: JsonValue, operation: JsonObject, path: readonly string[]): Result<JsonValue, string> {
  const from = parsePointer(operation['from'])
  if (!from.ok) return from
  const found = read(target, from.value)
  if (!found.ok || operation['op'] === 'copy') return found.ok ? edit(target, path, 'add', found.value) : found
  // RFC 6902 section 4.4: a value cannot move into itself.
  const isInside = path.length > from.value.length && from.value.every((token, index) => token === path[index])
  if (isInside) return err('"from" is a prefix of "path"')
  const removed = edit(target, from.value, 'remove', null)
  return removed.ok ? edit(removed.value, path, 'add', found.value) : removed
}

/** RFC 6901: '' is the whole document; `~1` is a slash, `~0` a tilde. */
function parsePointer(pointer: JsonValue | undefined): Result<readonly string[], string> {
  if (typeof pointer !== 'string') return err('a JSON pointer is missing')
  if (pointer === '') return ok([])
  if (!pointer.startsWith('/')) return err(`JSON pointer ${JSON.stringify(pointer)} must start with "/"`)
  return ok(
    pointer
      .slice(1)
      .split('/')
      .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~')),
  )
}

function read(target: JsonValue, path: readonly string[]): Result<JsonValue, string> {
  let current: JsonValue = target
  for (const token of path) {
    const child: JsonValue | undefined = childOf(current, token)
    if (child === undefined) return err(`there is nothing at ${JSON.stringify(token)}`)
    current = child
  }
  return ok(current)
}

function childOf(parent: JsonValue, token: string): JsonValue | undefined {
  if (isList(parent)) return /^(0|[1-9]\d*)$/.test(token) ? parent[Number(token)] : undefined
  return isObject(parent) && Object.hasOwn(parent, token) ? parent[token] : undefined
}

type Edit = 'add' | 'replace' | 'remove'

function edit(target: JsonValue, path: readonly string[], kind: Edit, value: JsonValue): Result<JsonValue, string> {
  const [token, ...rest] = path
  if (token === undefined) return kind === 'remove' ? err('the whole document cannot be removed') : ok(value)
  if (rest.length === 0)
    return isList(target) ? editList(target, token, kind, value) : editMember(target, token, kind, value)
  const child = childOf(target, token)
  if (child === undefined) return err(`there is nothing at ${JSON.stringify(token)}`)
  const edited = edit(child, rest, kind, value)
  if (!edited.ok) return edited
  if (isList(target)) return ok(target.with(Number(token), edited.value))
  return ok(setMember(isObject(target) ? target : {}, token, edited.value))
}

function editMember(target: JsonValue, token: string, kind: Edit, value: JsonValue): Result<JsonValue, string> {
  if (!isObject(target)) return err(`${JSON.stringify(token)} is looked for in ${JSON.stringify(target)}`)
  if (kind !== 'add' && !Object.hasOwn(target, token)) return err(`there is nothing at ${JSON.stringify(token)}`)
  if (kind !== 'remove') return ok(setMember(target, token, value))
  return ok(Object.fromEntries(Object.entries(target).filter(([key]) => key !== token)))
}

function setMember(target: JsonObject, token: string, value: JsonValue): JsonObject {
  return Object.fromEntries(new Map(Object.entries(target)).set(token, value))
}

function editList(
  target: readonly JsonValue[],
  token: string,
  kind: Edit,
  value: JsonValue,
): Result<JsonValue, string> {
  const last = kind === 'add' ? target.length : target.length - 1
  const index = token === '-' && kind === 'add' ? target.length : Number(/^(0|[1-9]\d*)$/.exec(token)?.[0] ?? NaN)
  if (!(index <= last)) return err(`${JSON.stringify(token)} is no index of a list of ${target.length}`)
  if (kind === 'add') return ok(target.toSpliced(index, 0, value))
  return ok(kind === 'replace' ? target.with(index, value) : target.toSpliced(index, 1))
}
