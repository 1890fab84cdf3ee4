import { expect, test } from 'vitest'
import { silentLogger } from '../../base/logger.ts'
import { pods } from '../../kube/resources.ts'
import { systemScheduler } from '../../kube/scheduler.ts'
import { line, pod, podList, ScriptedServer, watch } from '../../kube/scripted-server.fixture.ts'
import { ChangedObjects } from './changed-objects.ts'

test('what came and went before it was taken is forgotten; what was taken is told to be gone', async () => {
  const heard = Promise.withResolvers<undefined>()
  const pieces = [
    line('ADDED', pod('job', '2')),
    line('DELETED', pod('job', '3')),
    line('DELETED', pod('old', '4')),
    line('ADDED', pod('old', '5')),
    line('DELETED', pod('old', '6')),
    line('ADDED', pod('last', '7')),
  ]
  const isTaken = Promise.withResolvers<undefined>()
  const told = watch(pieces, 'silence')
  await using server = await ScriptedServer.start(podList('1', [pod('old', '1')]), async (...request) => {
    await isTaken.promise
    await told(...request)
  })
  const objects = new ChangedObjects({
    client: server.client(),
    resource: pods,
    scheduler: systemScheduler,
    random: () => 0.5,
    logger: silentLogger,
    onChange: (object) => {
      if (object?.metadata.name === 'last') heard.resolve(undefined)
    },
  })
  const stopping = new AbortController()
  const running = objects.run(stopping.signal)
  await objects.whenSynced(stopping.signal)
  expect([...objects.take().keys()]).toEqual(['shop/old'])
  isTaken.resolve(undefined)
  await heard.promise
  expect(objects.pending).toBe(2)
  expect([...objects.take()].map(([key, object]) => [key, object?.metadata.resourceVersion])).toEqual([
    ['shop/old', undefined],
    ['shop/last', '7'],
  ])
  stopping.abort()
  await running
})
