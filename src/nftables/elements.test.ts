import fc from 'fast-check'
import { expect, test } from 'vitest'
import { pack, type Packed } from './datatype.ts'
import {
  diffElements,
  editElements,
  type Elements,
  elementsOf,
  getElement,
  iterateElements,
  noElements,
  setElementsOf,
} from './elements.ts'

const key = (number: number): Packed => pack(['mark'], [number])
const value = fc.constantFrom<('accept' | 'drop' | 'goto a')[]>('accept', 'drop', 'goto a')
const asObject = (elements: Elements): object => Object.fromEntries(iterateElements(elements))

/** Few keys, many edits: containers grow beyond one shard and shrink again. */
const edit = fc.record({
  set: fc.array(fc.tuple(fc.integer({ min: 0, max: 400 }).map(key), value), { maxLength: 200 }),
  delete: fc.array(fc.integer({ min: 0, max: 400 }).map(key), { maxLength: 200 }),
})

test('edits do what they do to a Map', () => {
  fc.assert(
    fc.property(fc.array(edit, { maxLength: 6 }), (edits) => {
      let elements = noElements
      const model = new Map<Packed, string>()
      for (const { set, delete: deleted } of edits) {
        elements = editElements(elements, { set, delete: deleted })
        for (const gone of deleted) model.delete(gone)
        for (const [added, verdict] of set) model.set(added, verdict)
        expect(elements.size).toBe(model.size)
        expect(asObject(elements)).toEqual(Object.fromEntries(model))
      }
      for (const [known, verdict] of model) expect(getElement(elements, known)).toBe(verdict)
    }),
  )
})

test('a difference, carried out, makes the one of the other', () => {
  fc.assert(
    fc.property(edit, edit, fc.boolean(), (first, second, isDescendant) => {
      const before = elementsOf(first.set)
      const after = isDescendant ? editElements(before, second) : elementsOf(second.set)
      const { deleted, added } = diffElements(before, after)
      const model = new Map(iterateElements(before))
      for (const [gone, verdict] of deleted) {
        expect(model.get(gone)).toBe(verdict)
        model.delete(gone)
      }
      for (const [fresh, verdict] of added) {
        expect(model.has(fresh)).toBe(false)
        model.set(fresh, verdict)
      }
      expect(Object.fromEntries(model)).toEqual(asObject(after))
    }),
  )
})

const many = setElementsOf(Array.from({ length: 100_000 }, (_, index) => key(index)))

test('an edit copies one shard and shares the others', () => {
  const edited = editElements(many, { set: [[key(100_000), '']] })
  expect(edited.size).toBe(100_001)
  expect(edited.shards.filter((shard, index) => shard !== many.shards[index])).toHaveLength(1)
})

test('keys are spread: no shard is far above the others', () => {
  expect(Math.max(...many.shards.map(({ size }) => size))).toBeLessThan(100)
})

test('an edit that changes nothing gives back the same elements', () => {
  expect(editElements(many, { set: [[key(7), '']], delete: [key(200_000)] })).toBe(many)
})
