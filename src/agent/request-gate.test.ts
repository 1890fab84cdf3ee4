import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { heapUsedBytes } from './heap.fixture.ts'
import { RequestGate } from './request-gate.ts'

/** Work that ends when it is told to. */
class Work {
  readonly #done = Promise.withResolvers<string>()
  isStarted = false

  readonly run = (): Promise<string> => {
    this.isStarted = true
    return this.#done.promise
  }

  end(result = 'done'): void {
    this.#done.resolve(result)
  }

  fail(message: string): void {
    this.#done.reject(new Error(message))
  }
}

/** Lets everything run that can, without any timer. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve()
}

const started = (works: readonly Work[]): readonly boolean[] => works.map(({ isStarted }) => isStarted)

describe('RequestGate', () => {
  it('answers with what the work answers', async () => {
    expect(await new RequestGate(1).run('a', () => Promise.resolve(5))).toBe(5)
  })

  it('runs work of one key one after the other, in the order it came', async () => {
    const gate = new RequestGate(10)
    const works = [new Work(), new Work(), new Work()]
    const runs = works.map((work) => gate.run('a', work.run))
    await settle()
    expect(started(works)).toEqual([true, false, false])
    works[0]?.end()
    await settle()
    expect(started(works)).toEqual([true, true, false])
    // The third cannot overtake although it would end at once.
    works[2]?.end()
    await settle()
    expect(started(works)).toEqual([true, true, false])
    works[1]?.end()
    await Promise.all(runs)
    expect(started(works)).toEqual([true, true, true])
  })

  it('runs work of different keys at once', async () => {
    const gate = new RequestGate(10)
    const works = [new Work(), new Work(), new Work()]
    const runs = works.map((work, index) => gate.run(`key-${index}`, work.run))
    await settle()
    expect(started(works)).toEqual([true, true, true])
    for (const work of works) work.end()
    await Promise.all(runs)
  })

  it('runs no more than its limit at once, and the waiting in the order they came', async () => {
    const gate = new RequestGate(2)
    const works = Array.from({ length: 5 }, () => new Work())
    const runs = works.map((work, index) => gate.run(`key-${index}`, work.run))
    await settle()
    expect(started(works)).toEqual([true, true, false, false, false])
    expect(gate.busy).toBe(5)
    works[1]?.end()
    await settle()
    expect(started(works)).toEqual([true, true, true, false, false])
    for (const work of works) work.end()
    await Promise.all(runs)
    expect(gate.busy).toBe(0)
  })

  it('does not let the waiting of one key take the places of others', async () => {
    const gate = new RequestGate(2)
    const [first, second, other] = [new Work(), new Work(), new Work()]
    const runs = [gate.run('a', first.run), gate.run('a', second.run), gate.run('b', other.run)]
    await settle()
    expect(started([first, second, other])).toEqual([true, false, true])
    for (const work of [first, second, other]) work.end()
    await Promise.all(runs)
  })

  it('takes no place for what comes before the work, but the key’s turn', async () => {
    const gate = new RequestGate(1)
    const [waiting, work, next, other] = [new Work(), new Work(), new Work(), new Work()]
    const before = (): Promise<undefined> => waiting.run().then(() => undefined)
    const runs = [gate.run('a', work.run, before), gate.run('a', next.run), gate.run('b', other.run)]
    await settle()
    expect(started([waiting, work, next, other])).toEqual([true, false, false, true])
    other.end()
    waiting.end()
    await settle()
    expect(started([work, next])).toEqual([true, false])
    for (const one of [work, next]) one.end()
    await Promise.all(runs)
    expect(gate.busy).toBe(0)
  })

  it('answers with what came before the work, in its place', async () => {
    const gate = new RequestGate(1)
    const work = new Work()
    expect(await gate.run('a', work.run, () => Promise.resolve('refused'))).toBe('refused')
    expect([work.isStarted, gate.busy]).toEqual([false, 0])
  })

  it('gives the place of work that failed to the next, of the same key and of others', async () => {
    const gate = new RequestGate(1)
    const [first, second, other] = [new Work(), new Work(), new Work()]
    const failing = gate.run('a', first.run)
    const runs = [gate.run('a', second.run), gate.run('b', other.run)]
    first.fail('out of order')
    await expect(failing).rejects.toThrow('out of order')
    second.end('second')
    other.end('other')
    expect(await Promise.all(runs)).toEqual(['second', 'other'])
    expect(gate.busy).toBe(0)
  })

  it('survives work that throws before it returns a promise', async () => {
    const gate = new RequestGate(1)
    const throwing = gate.run('a', () => {
      throw new Error('at once')
    })
    await expect(throwing).rejects.toThrow('at once')
    expect(await gate.run('a', () => Promise.resolve('next'))).toBe('next')
  })

  it('holds a DEL back until the ADD that it crosses has ended', async () => {
    const gate = new RequestGate(4)
    const trace: string[] = []
    const add = new Work()
    const adding = gate.run('a', async () => {
      trace.push('ADD begins')
      await add.run()
      trace.push('ADD ends')
    })
    const deleting = gate.run('a', () => Promise.resolve(trace.push('DEL')))
    await settle()
    add.end()
    await Promise.all([adding, deleting])
    expect(trace).toEqual(['ADD begins', 'ADD ends', 'DEL'])
  })
})

describe('RequestGate, with any schedule', () => {
  /** Each request: its key, how many turns its work takes, and whether it fails in the end. */
  const requests = fc.array(
    fc.record({ key: fc.constantFrom('a', 'b', 'c', 'd'), turns: fc.nat(5), fails: fc.boolean() }),
    {
      maxLength: 30,
    },
  )

  test('keeps the order of each key and the limit, loses nobody and is empty in the end', async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), requests, fc.integer({ min: 1, max: 4 }), async (scheduler, list, limit) => {
        const gate = new RequestGate(limit)
        const running: string[] = []
        const order = new Map<string, number[]>()
        let most = 0
        const runs = list.map(({ key, turns, fails }, index) =>
          gate.run(key, async () => {
            expect(running).not.toContain(key)
            running.push(key)
            most = Math.max(most, running.length)
            order.set(key, [...(order.get(key) ?? []), index])
            for (let turn = 0; turn < turns; turn++) await scheduler.schedule(Promise.resolve())
            running.splice(running.indexOf(key), 1)
            if (fails) throw new Error('failed')
            return index
          }),
        )
        const outcomes = await scheduler.waitFor(Promise.allSettled(runs))
        expect(outcomes.map(({ status }) => status)).toEqual(
          list.map(({ fails }) => (fails ? 'rejected' : 'fulfilled')),
        )
        expect(most).toBeLessThanOrEqual(limit)
        for (const indexes of order.values()) expect(indexes).toEqual(indexes.toSorted((x, y) => x - y))
        expect(gate.busy).toBe(0)
      }),
    )
  })

  test('keeps nothing of keys whose work has ended', async () => {
    const gate = new RequestGate(8)
    const before = heapUsedBytes()
    for (let index = 0; index < 500; index++) {
      const key = `${index}`.padStart(200_000, '.')
      const fails = gate.run(key, () => Promise.reject(new Error('failed')))
      await Promise.allSettled([fails, gate.run(key, settle)])
    }
    // 500 keys of 200 kB each would be 100 MB.
    expect(heapUsedBytes() - before).toBeLessThan(20_000_000)
  })
})
