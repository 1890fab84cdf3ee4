import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { isDeepStrictEqual } from 'node:util'
import { expect, test } from 'vitest'
import { byAddress, readJournal, TempDirectory } from './ipam.fixture.ts'
import { modelAfter, type Model, seededRandom, type Step } from './journal-steps.fixture.ts'

const rounds = 40
const seed = Date.now() & 0x7fff_ffff

interface LastWords {
  readonly acknowledged: readonly Step[]
  /** Begun, and nobody knows whether it was done. */
  readonly unanswered: Step | undefined
}

/** Lets the child work until it has acknowledged so many steps, then kills it wherever it is. */
async function runUntilKilled(path: string, childSeed: number, killAfterSteps: number): Promise<LastWords> {
  const script = join(import.meta.dirname, 'journal.crash-child.ts')
  const child = spawn(process.execPath, [script, path, String(childSeed)], { stdio: ['ignore', 'pipe', 'inherit'] })
  const closed = once(child, 'close')
  try {
    return await listen(child, killAfterSteps)
  } finally {
    child.kill('SIGKILL')
    await closed
  }
}

async function listen(child: ChildProcess, killAfterSteps: number): Promise<LastWords> {
  const acknowledged: Step[] = []
  let unanswered: Step | undefined
  if (killAfterSteps === 0) setTimeout(() => child.kill('SIGKILL'), 150 * Math.random())
  if (child.stdout === null) throw new Error('the child has no standard output')
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith('try ')) unanswered = parseStep(line.slice(4))
    else if (line === 'ok' && unanswered !== undefined) {
      acknowledged.push(unanswered)
      unanswered = undefined
      if (acknowledged.length === killAfterSteps) child.kill('SIGKILL')
    }
  }
  return { acknowledged, unanswered }
}

/** Undefined for the half line of a killed writer. */
function parseStep(json: string): Step | undefined {
  try {
    return JSON.parse(json) as Step
  } catch {
    return undefined
  }
}

test(`${rounds} times kill -9: every acknowledged transition is there, no address twice (seed ${seed})`, async () => {
  using directory = new TempDirectory()
  const path = directory.join('journal.db')
  const random = seededRandom(seed)
  let model: Model = new Map()
  let acknowledgedInAll = 0
  for (let round = 0; round < rounds; round++) {
    // Every fourth is killed while it starts, if not a little later.
    const killAfterSteps = round % 4 === 3 ? 0 : 1 + Math.floor(random() * 200)
    const { acknowledged, unanswered } = await runUntilKilled(path, seed + round, killAfterSteps)
    acknowledgedInAll += acknowledged.length
    model = acknowledged.reduce(modelAfter, model)
    // A copy is read, so that the next child finds the files as they were left.
    using copy = new TempDirectory()
    cpSync(directory.path, copy.path, { recursive: true })
    const found = readJournal(copy.join('journal.db'))
    const possible = unanswered === undefined ? [model] : [model, modelAfter(model, unanswered)]
    const matching = possible.find((each) => isDeepStrictEqual(byAddress(each.values()), found))
    if (matching === undefined) expect(found).toEqual(byAddress(model.values()))
    model = matching ?? model
  }
  expect(acknowledgedInAll).toBeGreaterThanOrEqual(rounds / 2)
})
