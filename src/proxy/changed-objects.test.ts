import { expect, test } from 'vitest'
import { changedObjects } from './changed-objects.ts'

test('between two snapshots of a cache, what was replaced and what is gone', () => {
  const kept = { a: 1 }
  const before = new Map([
    ['kept', kept],
    ['replaced', { a: 2 }],
    ['gone', { a: 3 }],
  ])
  const after = new Map([
    ['kept', kept],
    ['replaced', { a: 2 }],
    ['new', { a: 4 }],
  ])
  expect([...changedObjects(before, after)]).toEqual([
    ['replaced', { a: 2 }],
    ['new', { a: 4 }],
    ['gone', undefined],
  ])
  expect(changedObjects(after, after).size).toBe(0)
})
