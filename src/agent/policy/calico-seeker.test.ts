import { expect, test } from 'vitest'
import { FakeScheduler } from '../../kube/fake-scheduler.fixture.ts'
import { CalicoSeeker } from './calico-seeker.ts'

class Rules {
  readonly seen: readonly string[] = []
  found: string | undefined
  looks = 0

  refusal(): string | undefined {
    this.looks++
    return this.found
  }

  lookAgain(): void {
    this.looks++
  }
}

test('while the lists are not there it looks every 10 s, and once more before there are rules', async () => {
  const rules = new Rules()
  const scheduler = new FakeScheduler()
  const seeker = new CalicoSeeker(rules, scheduler)
  expect([seeker.seekFirst(false), seeker.seekFirst(false), rules.looks]).toEqual([undefined, 10_000, 1])
  await scheduler.advance(9_000)
  expect([seeker.seekFirst(false), rules.looks]).toEqual([1_000, 1])
  await scheduler.advance(1_000)
  expect([seeker.seekFirst(false), rules.looks]).toEqual([undefined, 2])
  rules.found = 'Calico'
  expect([seeker.seekFirst(true), seeker.refusal, rules.looks]).toEqual([undefined, 'Calico', 3])
})

test('what refused is looked for again 10 s later, and forgotten when it is gone', async () => {
  const rules = new Rules()
  rules.found = 'Calico'
  const scheduler = new FakeScheduler()
  const seeker = new CalicoSeeker(rules, scheduler)
  seeker.seekFirst(true)
  rules.found = undefined
  expect([seeker.seekFirst(true), seeker.refusal, rules.looks]).toEqual([10_000, 'Calico', 1])
  await scheduler.advance(10_000)
  expect([seeker.seekFirst(true), seeker.refusal, rules.looks]).toEqual([undefined, undefined, 2])
})

test('while there are rules it looks every 10 s', async () => {
  const rules = new Rules()
  const scheduler = new FakeScheduler()
  const seeker = new CalicoSeeker(rules, scheduler)
  for (let second = 0; second < 20; second++) {
    seeker.seekAgain()
    await scheduler.advance(1_000)
  }
  expect(rules.looks).toBe(2)
})
