import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FakeScheduler, settled } from './fake-scheduler.fixture.ts'
import { runWorkers, WorkQueue, type WorkOutcome } from './work-queue.ts'

const never = new AbortController().signal

function queueOf(scheduler: FakeScheduler): WorkQueue {
  return new WorkQueue({ scheduler, random: () => 0.5, baseDelayMs: 100, maxDelayMs: 1_000 })
}

describe('a key', () => {
  test('added three times is given out once', async () => {
    const queue = queueOf(new FakeScheduler())
    for (const key of ['a', 'a', 'b', 'a']) queue.add(key)
    expect([await queue.next(never), await queue.next(never)]).toEqual(['a', 'b'])
    expect(queue.stats()).toMatchObject({ depth: 0, processing: 2 })
  })

  test('that need not hurry waits for those that do, but gets every fourth turn', async () => {
    const queue = queueOf(new FakeScheduler())
    for (const key of ['later 1', 'later 2', 'later 3']) queue.addUnhurried(key)
    for (const key of ['1', '2', '3', '4', '5']) queue.add(key)
    expect(queue.stats()).toMatchObject({ depth: 8 })
    const taken = []
    for (let turn = 0; turn < 8; turn++) taken.push(await queue.next(never))
    expect(taken).toEqual(['1', '2', '3', 'later 1', '4', '5', 'later 2', 'later 3'])
  })

  test('that need not hurry, and then must, is given out once', async () => {
    const queue = queueOf(new FakeScheduler())
    queue.addUnhurried('a')
    queue.add('a')
    expect(await queue.next(never)).toBe('a')
    expect(queue.stats()).toMatchObject({ depth: 0, processing: 1 })
  })

  test('added while it is worked on comes back when that is done, not before', async () => {
    const queue = queueOf(new FakeScheduler())
    queue.add('a')
    await queue.next(never)
    queue.add('a')
    expect(queue.stats()).toMatchObject({ depth: 0, processing: 1 })
    queue.done('a')
    expect(queue.stats()).toMatchObject({ depth: 1, processing: 0 })
  })

  test('that fails waits longer each time, up to the most, until it is forgotten', () => {
    const queue = queueOf(new FakeScheduler())
    const delays = Array.from({ length: 6 }, () => queue.addRateLimited('a'))
    expect(delays).toEqual([75, 150, 300, 600, 750, 750])
    expect(queue.failures('a')).toBe(6)
    queue.forget('a')
    expect(queue.addRateLimited('a')).toBe(75)
    expect(queue.addRateLimited('b', 5_000)).toBe(5_000)
  })

  test('wished for at several times comes at the earliest', async () => {
    const scheduler = new FakeScheduler()
    const queue = queueOf(scheduler)
    queue.addAfter('a', 500)
    queue.addAfter('a', 200)
    queue.addAfter('a', 900)
    await scheduler.advance(199)
    expect(queue.stats()).toMatchObject({ depth: 0, delayed: 1 })
    await scheduler.advance(1)
    expect(queue.stats()).toMatchObject({ depth: 1, delayed: 0 })
    await scheduler.advance(50)
    expect(queue.stats().oldestAgeMs).toBe(50)
  })

  test('that is done twice is a bug', () => {
    expect(() => queueOf(new FakeScheduler()).done('a')).toThrow('a is not being worked on')
  })
})

describe('who waits for a key', () => {
  test('gets the next one added', async () => {
    const queue = queueOf(new FakeScheduler())
    const waiting = queue.next(never)
    queue.add('a')
    expect(await waiting).toBe('a')
  })

  test('gets none after shut-down, and none when the signal aborts, and takes none with it', async () => {
    const queue = queueOf(new FakeScheduler())
    const aborting = new AbortController()
    const waiting = queue.next(aborting.signal)
    aborting.abort()
    expect(await waiting).toBeUndefined()
    queue.add('a')
    expect(await queue.next(never)).toBe('a')
    const last = queue.next(never)
    queue.shutDown()
    expect(await last).toBeUndefined()
  })
})

type Act = readonly ['add', string] | readonly ['addAfter', string, number] | readonly ['pass', number]

const key = fc.constantFrom('a', 'b', 'c')
const act: fc.Arbitrary<Act> = fc.oneof(
  fc.tuple(fc.constant('add' as const), key),
  fc.tuple(fc.constant('addAfter' as const), key, fc.nat(2_000)),
  fc.tuple(fc.constant('pass' as const), fc.nat(800)),
)
const outcome: fc.Arbitrary<WorkOutcome> = fc.oneof(
  fc.constant<WorkOutcome>({ kind: 'done' }),
  fc.nat(500).map((delayMs): WorkOutcome => ({ kind: 'after', delayMs })),
  fc.constant<WorkOutcome>({ kind: 'retry' }),
)

test('no key is in two hands, and work begins after the last wish for every key', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(act, { maxLength: 40 }),
      fc.array(outcome, { maxLength: 10 }),
      fc.nat(300),
      async (acts, outcomes, workMs) => {
        const scheduler = new FakeScheduler()
        const queue = queueOf(scheduler)
        const inHand = new Set<string>()
        const wishedAt = new Map<string, number>()
        const begunAt = new Map<string, number>()
        let tick = 0
        let next = 0
        const work = async (taken: string): Promise<WorkOutcome> => {
          expect(inHand.has(taken)).toBe(false)
          inHand.add(taken)
          begunAt.set(taken, ++tick)
          await new Promise<void>((resolve) => scheduler.after(workMs, resolve))
          inHand.delete(taken)
          return outcomes[next++] ?? { kind: 'done' }
        }
        const stopping = new AbortController()
        const crashes: unknown[] = []
        const workers = runWorkers(queue, 3, work, (_key, error) => crashes.push(error), stopping.signal)
        for (const [kind, ...rest] of acts) {
          if (kind === 'pass') await scheduler.advance(Number(rest[0]))
          else {
            wishedAt.set(String(rest[0]), ++tick)
            if (kind === 'add') queue.add(String(rest[0]))
            else queue.addAfter(String(rest[0]), Number(rest[1]))
          }
          await settled()
        }
        await scheduler.advance(60_000)
        for (const [wished, at] of wishedAt) expect(begunAt.get(wished)).toBeGreaterThan(at)
        expect(queue.stats()).toMatchObject({ depth: 0, processing: 0, delayed: 0 })
        expect(crashes).toEqual([])
        stopping.abort()
        await workers
      },
    ),
    { numRuns: 60 },
  )
})

test('a worker that throws loses neither its key nor the others', async () => {
  const scheduler = new FakeScheduler()
  const queue = queueOf(scheduler)
  const seen: string[] = []
  const crashes: string[] = []
  const stopping = new AbortController()
  const work = (taken: string): Promise<WorkOutcome> => {
    seen.push(taken)
    return seen.length === 1 ? Promise.reject(new Error('a bug')) : Promise.resolve({ kind: 'done' })
  }
  const workers = runWorkers(queue, 1, work, (crashed) => crashes.push(crashed), stopping.signal)
  queue.add('a')
  queue.add('b')
  await scheduler.advance(1_000)
  expect(seen).toEqual(['a', 'b', 'a'])
  expect(crashes).toEqual(['a'])
  stopping.abort()
  await workers
})
