import { expect, test } from 'vitest'
import { heapUsedBytes } from '../heap.fixture.ts'
import { Progress } from './progress.ts'

const { signal } = new AbortController()

test('wakes all who wait, and not those who come later', async () => {
  const progress = new Progress()
  const heard: string[] = []
  const waiting = ['a', 'b'].map((name) => progress.next(signal).then(() => heard.push(name)))
  progress.made()
  const later = progress.next(signal).then(() => heard.push('later'))
  await Promise.all(waiting)
  expect(heard).toEqual(['a', 'b'])
  progress.made()
  await later
  expect(heard).toEqual(['a', 'b', 'later'])
})

test('wakes who gave up, and keeps nothing of them', async () => {
  const progress = new Progress()
  const before = heapUsedBytes()
  for (let round = 0; round < 50_000; round++) {
    const giveUp = new AbortController()
    const waiting = progress.next(giveUp.signal)
    giveUp.abort()
    await waiting
  }
  expect(heapUsedBytes() - before).toBeLessThan(5_000_000)
  progress.made()
})
