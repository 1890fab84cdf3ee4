import { expect, test } from 'vitest'
import { silentLogger } from '../base/logger.ts'
import { FakeApi } from './fake-api.fixture.ts'
import { FakeScheduler } from './fake-scheduler.fixture.ts'
import { leadWhenElected } from './leader-election.ts'
import type { JsonObject } from './object.ts'
import type { Scheduler } from './scheduler.ts'

const leaseKey = 'coordination.k8s.io/v1/leases/kube-system/vcn-cni'

interface Candidate {
  readonly isLeading: () => boolean
  readonly stop: () => void
  readonly end: Promise<string>
}

function candidate(identity: string, api: FakeApi, scheduler: Scheduler, windDownMs = 0): Candidate {
  const stopping = new AbortController()
  let isLeading = false
  const lead = async (signal: AbortSignal): Promise<void> => {
    isLeading = true
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
    if (windDownMs > 0) await new Promise<void>((resolve) => scheduler.after(windDownMs, resolve))
    isLeading = false
  }
  const lease = { namespace: 'kube-system', name: 'vcn-cni' }
  const options = { client: api, lease, identity, scheduler, random: () => 0, logger: silentLogger }
  const end = leadWhenElected(options, lead, stopping.signal)
  return { isLeading: () => isLeading, stop: () => stopping.abort(new Error('stop')), end }
}

function leaseSpec(api: FakeApi): JsonObject {
  return api.objects.get(leaseKey)?.['spec'] as JsonObject
}

test('of two candidates one leads, and goes on leading', async () => {
  const scheduler = new FakeScheduler()
  const api = new FakeApi()
  const candidates = [candidate('a', api, scheduler), candidate('b', api, scheduler)]
  for (let second = 0; second < 120; second++) {
    await scheduler.advance(1_000)
    expect(candidates.map(({ isLeading }) => isLeading())).toEqual([true, false])
  }
  expect(leaseSpec(api)).toMatchObject({ holderIdentity: 'a', leaseDurationSeconds: 15, leaseTransitions: 0 })
  for (const { stop } of candidates) stop()
  expect(await Promise.all(candidates.map(({ end }) => end))).toEqual(['stopped', 'stopped'])
})

test('a leader that stops releases the lease when its work is over, and the other one begins at its next look', async () => {
  const scheduler = new FakeScheduler()
  const api = new FakeApi()
  const [a, b] = [candidate('a', api, scheduler, 30_000), candidate('b', api, scheduler)]
  await scheduler.advance(5_000)
  a.stop()
  await scheduler.advance(29_000)
  // Longer than the lease lasts: it is still being renewed, because the work is still going on.
  expect([a.isLeading(), b.isLeading()]).toEqual([true, false])
  await scheduler.advance(4_000)
  expect([a.isLeading(), b.isLeading()]).toEqual([false, true])
  expect(leaseSpec(api)).toMatchObject({ holderIdentity: 'b', leaseTransitions: 1 })
  expect(await a.end).toBe('stopped')
  b.stop()
  await b.end
})

test('a leader cut off from the API stops before another one begins', async () => {
  for (const way of ['hang', { kind: 'unreachable' }] as const) {
    const scheduler = new FakeScheduler()
    const api = new FakeApi()
    const other = new FakeApi()
    const a = candidate('a', api, scheduler)
    await scheduler.advance(5_000)
    api.trouble = () => way
    // The other candidate sees the same lease by its own, working connection.
    for (const [key, object] of api.objects) other.objects.set(key, object)
    const b = candidate('b', other, scheduler)
    for (let second = 0; second < 40; second++) {
      await scheduler.advance(1_000)
      expect([a.isLeading(), b.isLeading()]).not.toEqual([true, true])
    }
    expect(b.isLeading()).toBe(true)
    expect(await a.end).toBe('lost')
    b.stop()
    await b.end
  }
})

test('a leader whose lease somebody took is told at its next renewal', async () => {
  const scheduler = new FakeScheduler()
  const api = new FakeApi()
  const a = candidate('a', api, scheduler)
  await scheduler.advance(3_000)
  const taken = api.objects.get(leaseKey)
  const spec = { ...leaseSpec(api), holderIdentity: 'thief' }
  api.objects.set(leaseKey, { ...taken, metadata: { name: 'vcn-cni', resourceVersion: '999' }, spec })
  await scheduler.advance(2_000)
  expect(a.isLeading()).toBe(false)
  expect(await a.end).toBe('lost')
  expect(leaseSpec(api)).toMatchObject({ holderIdentity: 'thief' })
})

test('clocks that are hours apart do not matter', async () => {
  for (const skewMs of [-86_400_000, 86_400_000]) {
    const scheduler = new FakeScheduler()
    const api = new FakeApi()
    const a = candidate('a', api, scheduler)
    const b = candidate('b', api, scheduler.skewed(skewMs))
    await scheduler.advance(60_000)
    expect([a.isLeading(), b.isLeading()]).toEqual([true, false])
    for (const each of [a, b]) each.stop()
    await Promise.all([a.end, b.end])
  }
})

test('conflicts and failures delay nobody for longer than they last', async () => {
  const scheduler = new FakeScheduler()
  const api = new FakeApi()
  let calls = 0
  api.trouble = () => (++calls % 3 === 0 ? { kind: calls % 2 === 0 ? 'conflict' : 'server' } : undefined)
  const a = candidate('a', api, scheduler)
  await scheduler.advance(120_000)
  expect(a.isLeading()).toBe(true)
  a.stop()
  expect(await a.end).toBe('stopped')
})

test('what lead throws is thrown on, and the lease released', async () => {
  const scheduler = new FakeScheduler()
  const api = new FakeApi()
  const lease = { namespace: 'kube-system', name: 'vcn-cni' }
  const options = { client: api, lease, identity: 'a', scheduler, random: () => 0, logger: silentLogger }
  const leading = leadWhenElected(options, () => Promise.reject(new Error('a bug')), new AbortController().signal)
  await expect(leading).rejects.toThrow('a bug')
  expect(leaseSpec(api)).toMatchObject({ holderIdentity: '' })
})
