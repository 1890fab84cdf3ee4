import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { changedEntries, ShardedMap, ShardedMapEditor } from './sharded-map.ts'

const name = (index: number): string => `chain-${index}`
const named = (count: number): ShardedMap<string, number> =>
  ShardedMap.of(Array.from({ length: count }, (_, index) => [name(index), index] as const))
const many = named(10_000)

function edited(
  map: ShardedMap<string, number>,
  edits: Readonly<Record<string, number | undefined>>,
): ShardedMap<string, number> {
  const editor = new ShardedMapEditor(map)
  for (const [key, value] of Object.entries(edits)) {
    if (value === undefined) editor.delete(key)
    else editor.set(key, value)
  }
  return editor.edition()
}

/** Few keys, many edits: maps grow beyond one shard and shrink again. */
const edits = fc.dictionary(fc.integer({ min: 0, max: 400 }).map(name), fc.option(fc.nat(3), { nil: undefined }), {
  maxKeys: 300,
})

test('what is told of two maps, carried out, makes the one of the other', () => {
  fc.assert(
    fc.property(edits, edits, fc.boolean(), (first, second, isDescendant) => {
      const before = edited(named(0), first)
      const after = edited(isDescendant ? before : named(0), second)
      const carriedOut = new Map(before)
      for (const change of changedEntries(before, after)) {
        expect(change.before).toBe(before.get(change.key))
        if (change.after === undefined) carriedOut.delete(change.key)
        else carriedOut.set(change.key, change.after)
      }
      expect(Object.fromEntries(carriedOut)).toEqual(Object.fromEntries(after))
      expect(changedEntries(new Map(before), after)).toHaveLength(changedEntries(before, after).length)
    }),
  )
})

test('it is read like a Map', () => {
  expect([...many.keys()].sort()).toEqual([...new Map(many).keys()].sort())
  expect([...many.values()].reduce((sum, value) => sum + value, 0)).toBe((10_000 * 9_999) / 2)
  expect([many.size, many.get('chain-7'), many.has('chain-7'), many.has('chain-x')]).toEqual([10_000, 7, true, false])
  const seen: [string, number][] = []
  named(3).forEach((value, key) => seen.push([key, value]))
  expect(seen).toEqual([...named(3)])
})

describe('an editor', () => {
  test('gives the same edition until something is edited', () => {
    const editor = new ShardedMapEditor(many)
    editor.set('chain-7', 7)
    editor.delete('chain-x')
    expect(editor.edition()).toBe(many)
    editor.set('chain-7', 8)
    expect(editor.edition()).toBe(editor.edition())
  })

  test('leaves the editions it gave as they were', () => {
    const editor = new ShardedMapEditor(many)
    editor.set('chain-7', 8)
    const first = editor.edition()
    editor.set('chain-7', 9)
    editor.delete('chain-8')
    const second = editor.edition()
    expect([many, first, second].map((map) => map.get('chain-7'))).toEqual([7, 8, 9])
    expect([many, first, second].map(({ size }) => size)).toEqual([10_000, 10_000, 9_999])
  })

  test('copies the shards that are edited, and no other', () => {
    const { shards } = edited(many, { 'chain-7': 8, 'chain-new': 1 })
    expect(shards.filter((shard, index) => shard !== many.shards[index]).length).toBeLessThanOrEqual(2)
  })
})

test('a small map is in the order of insertion, and editions of the same history in the same order', () => {
  expect([...named(20).keys()]).toEqual(Array.from({ length: 20 }, (_, index) => name(index)))
  expect([...edited(many, { 'chain-new': 1 })]).toEqual([...edited(many, { 'chain-new': 1 })])
})
