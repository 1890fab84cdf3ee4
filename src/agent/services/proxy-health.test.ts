import { expect, it, test } from 'vitest'
import { FakeScheduler } from '../../kube/fake-scheduler.fixture.ts'
import { isEligible, ProxyHealth } from './proxy-health.ts'

type Step = 'queued' | 'updated' | number
const minute = 60_000

test.each<[what: string, steps: readonly Step[], isHealthy: boolean]>([
  ['nothing has been heard yet', [10 * minute], true],
  ['all is in the kernel, however long ago', ['queued', 'updated', 60 * minute], true],
  ['a change waits for less than a minute', ['queued', 'updated', 'queued', minute - 1], true],
  ['a change waits for a minute', ['queued', 'updated', 'queued', minute], false],
  ['the first of several waits for a minute', ['queued', minute / 2, 'queued', minute / 2], false],
  ['the very first one cannot be applied', ['queued', minute], false],
  ['a late change has arrived', ['queued', 2 * minute, 'updated'], true],
])('when %s', async (_what, steps, isHealthy) => {
  const scheduler = new FakeScheduler()
  const health = new ProxyHealth(scheduler)
  for (const step of steps) {
    if (typeof step === 'number') await scheduler.advance(step)
    else health[step]()
  }
  expect(health.isHealthy).toBe(isHealthy)
})

it('says «just now» while nothing is late, and else when it last was complete', async () => {
  const scheduler = new FakeScheduler(Date.parse('2026-03-01T00:00:00Z'))
  const health = new ProxyHealth(scheduler)
  expect(health.view(false).lastUpdated).toBe('0001-01-01T00:00:00Z')
  health.updated()
  await scheduler.advance(minute)
  expect(health.view(true)).toEqual({
    lastUpdated: '2026-03-01T00:01:00.000Z',
    currentTime: '2026-03-01T00:01:00.000Z',
    healthy: true,
  })
  expect(health.view(false).lastUpdated).toBe('2026-03-01T00:00:00.000Z')
})

const metadata = {}
test.each<[what: string, node: Parameters<typeof isEligible>[0], isOne: boolean]>([
  ['stays', { metadata, taints: [{ key: 'node.kubernetes.io/unschedulable' }] }, true],
  ['the autoscaler will delete', { metadata, taints: [{ key: 'ToBeDeletedByClusterAutoscaler' }] }, false],
  ['is being deleted', { metadata: { deletionTimestamp: '2026-03-01T00:00:00Z' }, taints: [] }, false],
  ['is not there', undefined, false],
])('whether load balancers may send to a node that %s', (_what, node, isOne) => {
  expect(isEligible(node)).toBe(isOne)
})
