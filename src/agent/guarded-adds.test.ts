// ADDs that wait for their pods' isolation, beside other requests.
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { err, ok, type Result } from '../base/result.ts'
import { AgentBench, errorOf } from './agent-bench.fixture.ts'
import { Attachments } from './attachments.ts'
import type { GuardedInterface, PodGuard } from './pod-guard.ts'

type Outcome = Result<void, string>

/** Knows what the test says. */
class TestGuard implements PodGuard {
  readonly patienceMs = 60_000
  readonly refusal = undefined
  readonly isReady = true
  readonly expected: PromiseWithResolvers<Outcome>[] = []
  readonly admitted: { readonly one: GuardedInterface; readonly outcome: PromiseWithResolvers<Outcome> }[] = []
  areKnown = true

  expect(): Promise<Outcome> {
    if (this.areKnown) return Promise.resolve(ok(undefined))
    const expected = Promise.withResolvers<Outcome>()
    this.expected.push(expected)
    return expected.promise
  }

  clear(): Promise<Outcome> {
    return Promise.resolve(ok(undefined))
  }

  admit(one: GuardedInterface): Promise<Outcome> {
    const outcome = Promise.withResolvers<Outcome>()
    this.admitted.push({ one, outcome })
    return outcome.promise
  }

  left(): void {
    // Nobody asks.
  }
}

let guard: TestGuard
let bench: AgentBench
beforeEach(() => {
  guard = new TestGuard()
  bench = new AgentBench((deps) => new Attachments({ ...deps, guard }))
})
afterEach(async () => {
  await bench[Symbol.asyncDispose]()
})

describe('an ADD that waits for its pod to be known', () => {
  it('is in the way of nobody else, however many there are', async () => {
    guard.areKnown = false
    const netns = bench.makePod().path
    // The bench lets 8 requests work at once.
    const adds = Array.from({ length: 20 }, (_, index) => bench.call('ADD', { container: `c${index}`, netns }))
    await expect.poll(() => guard.expected.length).toBe(20)
    expect(await bench.call('DEL', { container: 'other' })).toEqual({ exitCode: 0, stdout: '' })
    for (const one of guard.expected) one.resolve(err('nobody knows it'))
    for (const answer of await Promise.all(adds)) expect(errorOf(answer)).toMatchObject({ code: 11 })
    expect(bench.held()).toEqual([])
  })

  it('does not wait where its namespace is none', async () => {
    guard.areKnown = false
    expect(errorOf(await bench.call('ADD', { container: 'a', netns: '/nowhere' }))).toMatchObject({ code: 4 })
  })
})

describe('two sandboxes of one pod', () => {
  const args = 'K8S_POD_NAMESPACE=default;K8S_POD_NAME=x'

  it.each<[what: string, outcome: Outcome]>([
    ['succeeds for the older', ok(undefined)],
    ['fails for the older', err('too late')],
  ])('the newer one has the pod’s network, also when the wait %s', async (_what, outcome) => {
    const older = bench.call('ADD', { container: 'older', netns: bench.makePod().path, args })
    await expect.poll(() => guard.admitted.length).toBe(1)
    const newer = bench.call('ADD', { container: 'newer', netns: bench.makePod().path, args })
    await expect.poll(() => guard.admitted.length).toBe(2)
    guard.admitted[0]?.outcome.resolve(outcome)
    expect(errorOf(await older)).toEqual({
      code: 11,
      msg: 'network policies for pod default/x are not in force: a newer sandbox of the pod took its place',
    })
    guard.admitted[1]?.outcome.resolve(ok(undefined))
    expect((await newer).exitCode).toBe(0)
    expect(bench.held()).toEqual(['newer 10.0.4.10 attached'])
  })
})
