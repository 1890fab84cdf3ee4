import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { silentLogger } from '../../base/logger.ts'
import { err, ok, type Result } from '../../base/result.ts'
import { FakeScheduler } from '../../kube/fake-scheduler.fixture.ts'
import { PokedWorker } from './poked-worker.ts'

let scheduler: FakeScheduler
let stopping: AbortController
/** When the work was done. */
let ran: number[]
let outcome: () => Promise<Result<number | undefined, string>>
let worker: PokedWorker
let running: Promise<void>

beforeEach(() => {
  scheduler = new FakeScheduler(0)
  stopping = new AbortController()
  ran = []
  outcome = () => Promise.resolve(ok(undefined))
  start()
})

function start(options: { readonly burst?: number; readonly settleMs?: number } = {}): void {
  worker = new PokedWorker({
    name: 'test',
    work: () => {
      ran.push(scheduler.nowMs())
      return outcome()
    },
    spacingMs: 1000,
    backoff: { baseMs: 4000, maxMs: 8000 },
    scheduler,
    // The upper half of the delay, all of it.
    random: () => 1,
    logger: silentLogger,
    ...options,
  })
  running = worker.run(stopping.signal)
}

afterEach(async () => {
  stopping.abort()
  await running
})

describe('PokedWorker', () => {
  it('does nothing before a poke', async () => {
    await scheduler.advance(60_000)
    expect(ran).toEqual([])
  })

  it('runs once for a burst of pokes, and once more for those that came while it ran', async () => {
    for (let poke = 0; poke < 5; poke++) worker.poke()
    await scheduler.advance(0)
    expect(ran).toEqual([0])
    for (let poke = 0; poke < 5; poke++) worker.poke()
    await scheduler.advance(999)
    expect(ran).toEqual([0])
    await scheduler.advance(60_000)
    expect(ran).toEqual([0, 1000])
  })

  it('spaces only what goes beyond the burst that a quiet time allows', async () => {
    stopping.abort()
    await running
    stopping = new AbortController()
    start({ burst: 3 })
    for (let poke = 0; poke < 5; poke++) {
      worker.poke()
      await scheduler.advance(10)
    }
    await scheduler.advance(990)
    expect(ran).toEqual([0, 10, 20, 1000])
    await scheduler.advance(10_000)
    worker.poke()
    await scheduler.advance(1)
    worker.poke()
    await scheduler.advance(1)
    expect(ran).toEqual([0, 10, 20, 1000, 11_040, 11_041])
  })

  it('takes what comes within the time to settle into the same run', async () => {
    stopping.abort()
    await running
    stopping = new AbortController()
    start({ settleMs: 5 })
    worker.poke()
    await scheduler.advance(4)
    worker.poke()
    await scheduler.advance(60_000)
    expect(ran).toEqual([5])
  })

  it('runs again when it asked for it', async () => {
    outcome = () => Promise.resolve(ok(ran.length === 1 ? 5000 : undefined))
    worker.poke()
    await scheduler.advance(60_000)
    expect(ran).toEqual([0, 6000])
  })

  it('runs again after failures by itself, more and more slowly, however often it is poked', async () => {
    outcome = () => Promise.resolve(ran.length < 4 ? err('no') : ok(undefined))
    worker.poke()
    await scheduler.advance(1000)
    worker.poke()
    expect(worker.lastError).toBe('no')
    await scheduler.advance(60_000)
    expect(ran).toEqual([0, 4000, 12_000, 20_000])
    expect(worker.lastError).toBeUndefined()
  })

  it('outlives an exception', async () => {
    outcome = () => (ran.length < 2 ? Promise.reject(new Error('a bug')) : Promise.resolve(ok(undefined)))
    worker.poke()
    await scheduler.advance(1000)
    expect(worker.lastError).toBe('a bug')
    await scheduler.advance(60_000)
    expect(ran).toEqual([0, 4000])
  })
})
