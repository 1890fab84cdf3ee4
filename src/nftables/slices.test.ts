import { expect, test } from 'vitest'
import { inSlices } from './slices.ts'

test('every step is done, in order, and others get their turn in between', async () => {
  const steps: number[] = []
  let turnsOfOthers = 0
  const others = setInterval(() => turnsOfOthers++, 1)
  // Each step takes longer than a slice.
  function* slowSteps(): Generator<number> {
    for (let index = 0; index < 4; index++) {
      const endMs = performance.now() + 6
      while (performance.now() < endMs);
      yield index
    }
  }
  await inSlices(slowSteps(), (step) => void steps.push(step))
  clearInterval(others)
  expect(steps).toEqual([0, 1, 2, 3])
  expect(turnsOfOthers).toBeGreaterThan(1)
})
