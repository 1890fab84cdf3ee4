import { expect, test } from 'vitest'
import { silentLogger } from '../../base/logger.ts'
import { systemScheduler } from '../../kube/scheduler.ts'
import { failure, line, pod, podList, ScriptedServer, type Step, watch } from '../../kube/scripted-server.fixture.ts'
import { MeshPods } from './mesh-pods.ts'

const web = { namespace: 'shop', name: 'web', uid: 'uid-web' }

function podsOf(server: ScriptedServer): MeshPods {
  return new MeshPods({
    client: server.client(),
    nodeName: 'node-a',
    scheduler: systemScheduler,
    random: () => 0.5,
    logger: silentLogger,
    timing: { backoff: { baseMs: 1, maxMs: 1 } },
  })
}

/** Runs the reflector for as long as the work takes. */
async function during(server: ScriptedServer, work: (pods: MeshPods) => Promise<void>): Promise<void> {
  const stopping = new AbortController()
  const pods = podsOf(server)
  const running = pods.run(stopping.signal)
  try {
    await work(pods)
  } finally {
    stopping.abort()
    await running
  }
}

test('asks for the pods of its node alone', async () => {
  await using server = await ScriptedServer.start(podList('1', [pod('web', '1')]), watch([], 'silence'))
  await during(server, async (pods) => {
    expect(await pods.expect(web, AbortSignal.timeout(5000))).toMatchObject({ ok: true })
  })
  expect(server.requests[0]?.query.get('fieldSelector')).toBe('spec.nodeName=node-a')
})

test('a pod that comes later is found when it comes', async () => {
  const asked = Promise.withResolvers<undefined>()
  const later: Step = async (...request) => {
    await asked.promise
    await watch([line('ADDED', pod('other', '2')), line('ADDED', pod('web', '3'))], 'silence')(...request)
  }
  await using server = await ScriptedServer.start(podList('1', []), later)
  await during(server, async (pods) => {
    const expected = pods.expect(web, AbortSignal.timeout(5000))
    asked.resolve(undefined)
    expect(await expected).toMatchObject({ ok: true, value: { metadata: { uid: 'uid-web' } } })
  })
})

test.each<[what: string, list: Step, sought: object, because: RegExp]>([
  ['no list', failure(500, 'Broken'), web, /^the API server has not listed the pods of node node-a yet \(.*Broken/],
  ['no such pod', podList('1', []), web, /^the API server has told of no pod shop\/web on node node-a$/],
  ['another uid', podList('1', [pod('web', '1')]), { ...web, uid: 'new' }, /with uid uid-web, not new$/],
])('in the end it says what is missing: %s', async (_what, list, sought, because) => {
  await using server = await ScriptedServer.start(list, list, watch([], 'silence'))
  await during(server, async (pods) => {
    await expect
      .poll(() => pods.find({ ...web, ...sought }))
      .toMatchObject({ error: expect.stringMatching(because) as unknown })
    const expected = await pods.expect({ ...web, ...sought }, AbortSignal.timeout(10))
    expect(expected).toEqual({ ok: false, error: expect.stringMatching(because) as unknown })
  })
})

test('a static pod is found by its mirror’s annotation, and any by its name alone', async () => {
  const annotations = { 'kubernetes.io/config.mirror': 'hash' }
  await using server = await ScriptedServer.start(
    podList('1', [pod('web', '1', { annotations })]),
    watch([], 'silence'),
  )
  await during(server, async (pods) => {
    expect(await pods.expect({ ...web, uid: 'hash' }, AbortSignal.timeout(5000))).toMatchObject({ ok: true })
    expect(pods.find({ namespace: 'shop', name: 'web' })).toMatchObject({ ok: true })
  })
})
