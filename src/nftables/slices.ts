import { setImmediate } from 'node:timers/promises'

const sliceMs = 5

/** Runs through a generator with pauses, so that a long one does not hold up everything else in the process. */
export async function inSlices<T>(steps: Iterable<T>, onStep: (step: T) => void): Promise<void> {
  let startedMs = performance.now()
  for (const step of steps) {
    onStep(step)
    if (performance.now() - startedMs < sliceMs) continue
    await setImmediate()
    startedMs = performance.now()
  }
}
