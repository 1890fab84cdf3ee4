import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type LabelSelector, labelsOf, type Requirement, selectorMatches, selectorOf } from '../kube/label-selector.ts'
import { SelectorIndex } from './selector-index.ts'

const key = fc.constantFrom('a', 'b', 'c')
const value = fc.constantFrom('1', '2')
const anySelector: fc.Arbitrary<LabelSelector> = fc
  .array(
    fc.oneof<fc.Arbitrary<Requirement>[]>(
      fc.record({
        key,
        operator: fc.constantFrom('In' as const, 'NotIn' as const),
        values: fc.uniqueArray(value, { minLength: 1 }).map((values) => new Set(values)),
      }),
      fc.record({ key, operator: fc.constantFrom('Exists' as const, 'DoesNotExist' as const) }),
    ),
    { maxLength: 3 },
  )
  .map(selectorOf)
const anyLabels = fc.dictionary(key, value).map(labelsOf)

function found<T>(index: SelectorIndex<T>, labels: ReadonlyMap<string, string>): readonly T[] {
  const items: T[] = []
  index.match(labels, (item) => items.push(item))
  return items
}

test('it finds those that match, each once, whatever came and went before', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(anySelector, fc.boolean()), { maxLength: 12 }),
      fc.array(anyLabels, { minLength: 1, maxLength: 5 }),
      (selectors, manyLabels) => {
        const index = new SelectorIndex<number>()
        selectors.forEach(([selector], item) => index.add(item, selector))
        selectors.forEach(([, isKept], item) => {
          if (!isKept) index.delete(item)
        })
        expect(index.size).toBe(selectors.filter(([, isKept]) => isKept).length)
        for (const labels of manyLabels) {
          const expected = selectors.flatMap(([selector, isKept], item) =>
            isKept && selectorMatches(selector, labels) ? [item] : [],
          )
          expect([...found(index, labels)].sort((a, b) => a - b)).toEqual(expected)
        }
      },
    ),
    { numRuns: 1000 },
  )
})

/** Counts how often somebody looks at what it requires. */
function watched(selector: LabelSelector, looked: () => void): LabelSelector {
  return {
    text: selector.text,
    get requirements() {
      looked()
      return selector.requirements
    },
  }
}

test('labels are compared with none of the selectors that need another', () => {
  let comparisons = 0
  const index = new SelectorIndex<number>()
  for (let item = 0; item < 1000; item++) {
    // The first label is everywhere; the second tells them apart.
    const requirements = [
      { key: 'app', operator: 'In', values: new Set(['web']) },
      { key: 'id', operator: 'In', values: new Set([`${item}`]) },
    ] as const
    index.add(
      item,
      watched(selectorOf(requirements), () => comparisons++),
    )
  }
  comparisons = 0
  expect(found(index, labelsOf({ app: 'web', id: '7' }))).toEqual([7])
  expect(comparisons).toBeLessThanOrEqual(2)
})

test('a selector that asks one label twice leaves nothing behind', () => {
  let comparisons = 0
  const asks = (...values: string[]): Requirement => ({ key: 'a', operator: 'In', values: new Set(values) })
  const index = new SelectorIndex<string>()
  for (const item of ['first', 'second']) index.add(item, selectorOf([asks('1')]))
  // It is kept under its second requirement, where there are fewer others.
  index.add(
    'twice',
    watched(selectorOf([asks('1', '2'), asks('2', '3')]), () => comparisons++),
  )
  index.delete('twice')
  comparisons = 0
  for (const a of ['1', '2', '3']) found(index, labelsOf({ a }))
  expect(comparisons).toBe(0)
})
