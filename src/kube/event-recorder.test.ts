import { expect, test } from 'vitest'
import { silentLogger } from '../base/logger.ts'
import type { EventFacts } from './event-correlator.ts'
import { EventRecorder } from './event-recorder.ts'
import { FakeApi } from './fake-api.fixture.ts'
import { FakeScheduler } from './fake-scheduler.fixture.ts'
import type { JsonObject } from './object.ts'

const regarding = { apiVersion: 'oci.oraclecloud.com/v1beta1', kind: 'NativePodNetwork', name: 'node-a', uid: 'u' }
const waiting: EventFacts = { regarding, type: 'Warning', reason: 'SubnetFull', note: 'subnet x is full' }

interface Recording extends AsyncDisposable {
  readonly api: FakeApi
  readonly scheduler: FakeScheduler
  readonly recorder: EventRecorder
  /** Messages with their counts. */
  written(): readonly string[]
}

function recording(): Recording {
  const api = new FakeApi()
  const scheduler = new FakeScheduler()
  const options = { client: api, component: 'vcn-cni-controller', instance: 'pod-1', scheduler, random: () => 0.5 }
  const recorder = new EventRecorder({ ...options, logger: silentLogger })
  const stopping = new AbortController()
  const running = recorder.run(stopping.signal)
  return {
    api,
    scheduler,
    recorder,
    written: () => [...api.objects.values()].map(({ message, count }) => `${message as string} ×${count as number}`),
    [Symbol.asyncDispose]: () => {
      stopping.abort()
      return running
    },
  }
}

test('an event says who saw what about whom, in the namespace the API server wants', async () => {
  await using run = recording()
  run.recorder.record(waiting)
  await run.scheduler.advance(0)
  const [event] = run.api.objects.values()
  expect(event).toMatchObject({
    metadata: { namespace: 'default', name: expect.stringMatching(/^node-a\.[0-9a-f]{16}$/) as string },
    involvedObject: regarding,
    type: 'Warning',
    reason: 'SubnetFull',
    message: 'subnet x is full',
    count: 1,
    firstTimestamp: '2026-03-01T00:00:00Z',
    reportingComponent: 'vcn-cni-controller',
  })
})

test('the same event again is counted, and a new one begins ten minutes later', async () => {
  await using run = recording()
  for (let minute = 0; minute < 3; minute++) {
    run.recorder.record(waiting)
    await run.scheduler.advance(60_000)
  }
  expect(run.written()).toEqual(['subnet x is full ×3'])
  const [event] = run.api.objects.values()
  expect(event?.['lastTimestamp']).toBe('2026-03-01T00:02:00Z')
  await run.scheduler.advance(600_000)
  run.recorder.record(waiting)
  await run.scheduler.advance(0)
  expect(run.written()).toEqual(['subnet x is full ×3', 'subnet x is full ×1'])
})

test('many that differ only in their text are combined', async () => {
  await using run = recording()
  for (let index = 0; index < 13; index++) {
    run.recorder.record({ ...waiting, note: `attempt ${index}` })
    await run.scheduler.advance(0)
  }
  expect(run.written().slice(9)).toEqual(['attempt 9 ×1', '(combined from similar events): attempt 12 ×3'])
})

test('an object that will not stop talking is cut off, others are not', async () => {
  await using run = recording()
  for (let index = 0; index < 40; index++) run.recorder.record({ ...waiting, reason: `Reason${index}` })
  run.recorder.record({ ...waiting, regarding: { ...regarding, name: 'node-b', uid: 'v' } })
  await run.scheduler.advance(0)
  expect(run.api.objects.size).toBe(26)
  expect(run.recorder.stats()).toMatchObject({ recordedTotal: 41, writtenTotal: 26, droppedTotal: 15, pending: 0 })
})

test('events outlive an API server that is away for a moment, and an answer that was lost makes no second one', async () => {
  await using run = recording()
  let calls = 0
  run.api.trouble = () => (++calls <= 3 ? { kind: 'unreachable' } : undefined)
  run.recorder.record(waiting)
  await run.scheduler.advance(30_000)
  expect(run.written()).toEqual(['subnet x is full ×1'])
  expect(calls).toBe(4)
})

test('an event that may not be written is given up, and the next one is written all the same', async () => {
  await using run = recording()
  run.api.trouble = () => ({ kind: 'forbidden' })
  run.recorder.record(waiting)
  await run.scheduler.advance(0)
  run.api.trouble = () => undefined
  run.recorder.record({ ...waiting, reason: 'Other' })
  await run.scheduler.advance(0)
  expect(run.recorder.stats()).toMatchObject({ writtenTotal: 1, droppedTotal: 1 })
})

test('an event that expired meanwhile is made anew', async () => {
  await using run = recording()
  run.recorder.record(waiting)
  await run.scheduler.advance(1_000)
  run.api.objects.clear()
  run.recorder.record(waiting)
  await run.scheduler.advance(1_000)
  const events: readonly JsonObject[] = [...run.api.objects.values()]
  expect(events.map(({ count }) => count)).toEqual([2])
})
