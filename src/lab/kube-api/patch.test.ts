import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { coreDefinition, resolveCore } from './core-schemas.ts'
import type { JsonObject, JsonValue } from './objects.ts'
import { applyJsonPatch, applyMergePatch } from './patch.ts'
import { strategicMerge } from './strategic-merge.ts'

// The example table of RFC 7396, appendix A, in part.
test.each<[JsonValue, JsonValue, JsonValue]>([
  [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
  [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
  [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
  [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
  [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
  [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  [[1, 2], { a: 'b' }, { a: 'b' }],
])('merge patch: %j with %j is %j', (target, patch, result) => {
  expect(applyMergePatch(target, patch)).toEqual(result)
})

describe('JSON patch', () => {
  test.each<[string, JsonValue, JsonObject, JsonValue]>([
    ['adds a member', { a: 1 }, { op: 'add', path: '/b', value: 2 }, { a: 1, b: 2 }],
    ['inserts into a list', [1, 3], { op: 'add', path: '/1', value: 2 }, [1, 2, 3]],
    ['appends with -', [1], { op: 'add', path: '/-', value: 2 }, [1, 2]],
    ['removes', { a: [1, 2] }, { op: 'remove', path: '/a/0' }, { a: [2] }],
    ['replaces', { a: { b: 1 } }, { op: 'replace', path: '/a/b', value: 2 }, { a: { b: 2 } }],
    ['moves', { a: 1 }, { op: 'move', from: '/a', path: '/b' }, { b: 1 }],
    ['copies', { a: 1 }, { op: 'copy', from: '/a', path: '/b' }, { a: 1, b: 1 }],
    ['reads ~1 as a slash', { 'a/b': 1 }, { op: 'replace', path: '/a~1b', value: 2 }, { 'a/b': 2 }],
    ['passes a test that holds', { a: [1] }, { op: 'test', path: '/a', value: [1] }, { a: [1] }],
  ])('%s', (_what, target, operation, result) => {
    expect(applyJsonPatch(target, [operation])).toEqual({ ok: true, value: result })
  })

  test.each<[string, JsonObject, RegExp]>([
    ['a test that fails', { op: 'test', path: '/a', value: 2 }, /the value is 1/],
    ['a member that is not there', { op: 'remove', path: '/b' }, /nothing at "b"/],
    ['an index beyond the end', { op: 'add', path: '/l/5', value: 1 }, /no index of a list of 1/],
    ['an operation of another name', { op: 'put', path: '/a', value: 1 }, /must be one of/],
    ['a path without a slash', { op: 'remove', path: 'a' }, /must start with/],
    ['a move into itself', { op: 'move', from: '/o', path: '/o/x' }, /prefix/],
  ])('refuses %s and says which operation it was', (_what, operation, message) => {
    const result = applyJsonPatch({ a: 1, l: [0], o: {} }, [{ op: 'add', path: '/z', value: 1 }, operation])
    expect(result).toMatchObject({ ok: false, error: expect.stringMatching(/^operation 1 /) as unknown })
    expect(result.ok ? '' : result.error).toMatch(message)
  })
})

describe('strategic merge patch', () => {
  const merge = (model: string, target: JsonObject, patch: JsonObject) =>
    strategicMerge(target, patch, coreDefinition(model), resolveCore)
  const container = (name: string, image: string) => ({ name, image })

  test.each<[string, string, JsonObject, JsonObject, JsonObject]>([
    [
      'merges containers by name',
      'V1PodSpec',
      { containers: [container('a', '1'), container('b', '1')] },
      { containers: [{ name: 'b', image: '2' }] },
      { containers: [container('a', '1'), container('b', '2')] },
    ],
    [
      'deletes one of them',
      'V1PodSpec',
      { containers: [container('a', '1'), container('b', '1')] },
      { containers: [{ name: 'a', $patch: 'delete' }] },
      { containers: [container('b', '1')] },
    ],
    [
      'replaces them all',
      'V1PodSpec',
      { containers: [container('a', '1')] },
      { containers: [{ $patch: 'replace' }, container('c', '3')] },
      { containers: [container('c', '3')] },
    ],
    [
      'orders them',
      'V1PodSpec',
      { containers: [container('a', '1'), container('x', '1'), container('b', '1')] },
      { '$setElementOrder/containers': [{ name: 'b' }, { name: 'a' }] },
      { containers: [container('b', '1'), container('x', '1'), container('a', '1')] },
    ],
    ['joins finalizers', 'V1ObjectMeta', { finalizers: ['a'] }, { finalizers: ['b', 'a'] }, { finalizers: ['a', 'b'] }],
    [
      'takes finalizers away',
      'V1ObjectMeta',
      { finalizers: ['a', 'b'] },
      { '$deleteFromPrimitiveList/finalizers': ['a'] },
      { finalizers: ['b'] },
    ],
    [
      'merges owners by uid',
      'V1ObjectMeta',
      { ownerReferences: [{ uid: '1', name: 'x' }] },
      { ownerReferences: [{ uid: '1', controller: true }] },
      { ownerReferences: [{ uid: '1', name: 'x', controller: true }] },
    ],
    [
      'replaces taints, which are atomic',
      'V1NodeSpec',
      { taints: [{ key: 'a' }] },
      { taints: [{ key: 'b' }] },
      { taints: [{ key: 'b' }] },
    ],
    ['keeps only what is retained', 'V1Volume', { name: 'v', emptyDir: {} }, { $retainKeys: ['name'] }, { name: 'v' }],
    [
      'removes with null',
      'V1ObjectMeta',
      { labels: { a: 'b', c: 'd' } },
      { labels: { a: null } },
      { labels: { c: 'd' } },
    ],
  ])('%s', (_what, model, target, patch, result) => {
    expect(merge(model, target, patch)).toEqual(result)
  })
})

const json = fc.letrec<{ value: JsonValue; object: JsonObject }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom<JsonValue>('x', 1, true),
    fc.array(tie('value'), { maxLength: 3 }),
    tie('object'),
  ),
  object: fc.dictionary(fc.constantFrom('a', 'b', 'c', '__proto__'), tie('value'), {
    maxKeys: 3,
    noNullPrototype: true,
  }),
}))

/** The merge patch that leads from one object to another (RFC 7396's other direction). */
function difference(from: JsonObject, to: JsonObject): JsonObject {
  const keys = new Set([...Object.keys(from), ...Object.keys(to)])
  return Object.fromEntries(
    [...keys].map((key) => {
      const [before, after] = [
        Object.hasOwn(from, key) ? from[key] : undefined,
        Object.hasOwn(to, key) ? to[key] : undefined,
      ]
      const isNested =
        typeof before === 'object' && typeof after === 'object' && !Array.isArray(before) && !Array.isArray(after)
      return [
        key,
        after === undefined ? null : isNested ? difference(before as JsonObject, after as JsonObject) : after,
      ]
    }),
  )
}

describe('any two objects', () => {
  it('are led into each other by their difference as a merge patch', () => {
    fc.assert(
      fc.property(json.object, json.object, (from, to) => {
        expect(applyMergePatch(from, difference(from, to))).toEqual(to)
      }),
    )
  })

  it('have a merge patch that changes nothing the second time', () => {
    fc.assert(
      fc.property(json.object, json.object, (target, patch) => {
        const once = applyMergePatch(target, patch)
        expect(applyMergePatch(once, patch)).toEqual(once)
      }),
    )
  })

  it('are swapped by a JSON patch that replaces the document, and an added member is taken away by its removal', () => {
    fc.assert(
      fc.property(json.object, json.value, (target, value) => {
        const operations = [
          { op: 'add', path: '/new', value },
          { op: 'test', path: '/new', value },
          { op: 'remove', path: '/new' },
        ]
        expect(applyJsonPatch(target, operations)).toEqual({ ok: true, value: target })
        expect(applyJsonPatch(target, [{ op: 'replace', path: '', value }])).toEqual({ ok: true, value })
      }),
    )
  })
})
