import { expect, it } from 'vitest'
import { mapBounded } from './bounded.ts'

it('works on at most so many at once, and answers in order', async () => {
  let running = 0
  let most = 0
  const results = await mapBounded([5, 1, 4, 2, 3], 2, async (item) => {
    most = Math.max(most, ++running)
    for (let turn = 0; turn < item; turn++) await Promise.resolve()
    running--
    return item * 10
  })
  expect(results).toEqual([50, 10, 40, 20, 30])
  expect(most).toBe(2)
})

it('after a failure it begins nothing new, and throws only when what had begun has ended', async () => {
  const ended: number[] = []
  const work = async (item: number): Promise<void> => {
    if (item === 1) throw new Error('the first')
    for (let turn = 0; turn < 5; turn++) await Promise.resolve()
    ended.push(item)
  }
  await expect(mapBounded([1, 2, 3, 4], 2, work)).rejects.toThrow('the first')
  expect(ended).toEqual([2])
})
