import { expect, test } from 'vitest'
import { TurnQueue } from './turn-queue.ts'

test('work begins when the work before it has ended, however that ended', async () => {
  const turns = new TurnQueue()
  const events: string[] = []
  const work =
    (name: string, fails = false) =>
    async (): Promise<string> => {
      events.push(`${name} begins`)
      await new Promise((resolve) => setImmediate(resolve))
      events.push(`${name} ends`)
      if (fails) throw new Error(name)
      return name
    }
  const results = await Promise.allSettled([turns.run(work('a')), turns.run(work('b', true)), turns.run(work('c'))])
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
  expect(events).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends'])
  expect(turns.isBusy).toBe(false)
})

test('closing rejects what has not begun', async () => {
  const turns = new TurnQueue()
  const begun = turns.run(() => Promise.resolve('done'))
  await Promise.resolve()
  const waiting = turns.run(() => Promise.resolve('too late'))
  const refused = expect(waiting).rejects.toThrow('closed')
  await turns.close(new Error('closed'))
  await refused
  expect(await begun).toBe('done')
})
