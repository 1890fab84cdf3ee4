import { expect, test } from 'vitest'
import { ok, unwrap } from '../base/result.ts'
import type { ApiClient } from '../kube/api-client.ts'
import type { EventFacts } from '../kube/event-correlator.ts'
import { systemScheduler } from '../kube/scheduler.ts'
import { PolicyProblems } from './policy-problems.ts'

// No API server with the schema lets such an object in, the lab's neither: one that is older than its schema may be there.
test('a policy without a frame is told of as one that is not used', async () => {
  const raw = { metadata: { name: 'no-spec', namespace: 'default', uid: 'u', resourceVersion: '1' }, spec: [] }
  const client: Pick<ApiClient, 'list' | 'watch'> = {
    list: ({ kind, parse }) => {
      const items = kind === 'NetworkPolicy' ? [unwrap(parse(raw))] : []
      return Promise.resolve(ok({ items, malformed: [], resourceVersion: '1' }))
    },
    watch: (_resource, _query, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new Error('stopped')))
      }),
  }
  const told: EventFacts[] = []
  const record = (facts: EventFacts): void => void told.push(facts)
  const stopping = new AbortController()
  const nothing = (): void => undefined
  const logger = { debug: nothing, info: nothing, warn: nothing, error: nothing }
  const running = new PolicyProblems({ client, record, scheduler: systemScheduler, random: Math.random, logger }).run(
    stopping.signal,
  )
  await expect.poll(() => told.length, { timeout: 5_000 }).toBe(1)
  stopping.abort(new Error('stopped'))
  await running
  expect(told).toMatchObject([{ reason: 'InvalidPolicy', type: 'Warning', regarding: { name: 'no-spec' } }])
  expect(told[0]?.note).toMatch(/^spec: .*\. The policy is not used until it is put right/)
})
