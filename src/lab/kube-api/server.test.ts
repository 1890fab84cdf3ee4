import { setTimeout as sleep } from 'node:timers/promises'
import {
  ADD,
  CoreV1Api,
  DELETE,
  KubeConfig,
  makeInformer,
  UPDATE,
  V1ConfigMap,
  V1ObjectMeta,
} from '@kubernetes/client-node'
import { describe, expect, it, vi } from 'vitest'
import { configMap } from './api.fixture.ts'
import { KubeApiServer } from './server.ts'

const maps = '/api/v1/namespaces/default/configmaps'

function map(name: string, data: Readonly<Record<string, string>> = {}): V1ConfigMap {
  return Object.assign(new V1ConfigMap(), { metadata: Object.assign(new V1ObjectMeta(), { name }), data })
}

function clientOf(server: KubeApiServer): { readonly config: KubeConfig; readonly core: CoreV1Api } {
  const config = new KubeConfig()
  config.loadFromString(server.kubeconfig())
  return { config, core: config.makeApiClient(CoreV1Api) }
}

describe('@kubernetes/client-node', () => {
  it('creates, patches, lists and deletes over https with the kubeconfig', async () => {
    await using server = await KubeApiServer.start({ tls: true })
    const { core } = clientOf(server)
    const created = await core.createNamespacedConfigMap({
      namespace: 'default',
      body: map('a', { k: 'v' }),
    })
    expect(created.metadata?.uid).toBeDefined()
    const stale = Object.assign(new V1ConfigMap(), created, { data: { k: '2' } })
    const current = Object.assign(new V1ConfigMap(), created, { data: { k: '1' } })
    await core.replaceNamespacedConfigMap({ name: 'a', namespace: 'default', body: current })
    await expect(
      core.replaceNamespacedConfigMap({ name: 'a', namespace: 'default', body: stale }),
    ).rejects.toMatchObject({ code: 409 })
    const listed = await core.listNamespacedConfigMap({ namespace: 'default' })
    expect(listed.items.map(({ data }) => data)).toEqual([{ k: '1' }])
    await core.deleteNamespacedConfigMap({ name: 'a', namespace: 'default' })
    await expect(core.readNamespacedConfigMap({ name: 'a', namespace: 'default' })).rejects.toMatchObject({ code: 404 })
  })

  it('follows objects with its informer', async () => {
    await using server = await KubeApiServer.start()
    const { config, core } = clientOf(server)
    await core.createNamespacedConfigMap({ namespace: 'default', body: map('first') })
    const seen: string[] = []
    const informer = makeInformer(config, maps, () => core.listNamespacedConfigMap({ namespace: 'default' }))
    for (const verb of [ADD, UPDATE, DELETE] as const) {
      informer.on(verb, (object: V1ConfigMap) => seen.push(`${verb} ${object.metadata?.name ?? ''}`))
    }
    await informer.start()
    try {
      await vi.waitFor(() => expect(server.watchCount).toBe(1), { timeout: 10_000 })
      await core.createNamespacedConfigMap({ namespace: 'default', body: map('second') })
      await core.replaceNamespacedConfigMap({
        name: 'second',
        namespace: 'default',
        body: map('second', { a: 'b' }),
      })
      await core.deleteNamespacedConfigMap({ name: 'first', namespace: 'default' })
      await vi.waitFor(() => expect(seen).toEqual(['add first', 'add second', 'update second', 'delete first']), {
        timeout: 10_000,
      })
    } finally {
      await informer.stop()
    }
  })
})

describe('https', () => {
  it('answers 401 without the token', async () => {
    await using server = await KubeApiServer.start({ tls: true })
    const config = clientOf(server).config
    const user = config.getCurrentUser()
    const stranger = new KubeConfig()
    stranger.loadFromString(server.kubeconfig().replace(user?.token ?? 'none', 'guess'))
    const core = stranger.makeApiClient(CoreV1Api)
    await expect(core.listNamespace()).rejects.toMatchObject({ code: 401 })
  })
})

describe('faults', () => {
  const isCreation = ({ method, path }: { method: string; path: string }) => method === 'POST' && path === maps
  const post = (server: KubeApiServer, name: string) =>
    fetch(`${server.url}${maps}`, {
      method: 'POST',
      body: JSON.stringify(configMap(name)),
      headers: { 'content-type': 'application/json' },
    })
  const stored = (server: KubeApiServer) => server.store.list('configmaps').map(({ metadata }) => metadata.name)

  it('answer a status as often as told, without doing what was asked', async () => {
    await using server = await KubeApiServer.start()
    server.faults.add({
      matches: isCreation,
      times: 2,
      answer: { kind: 'status', code: 429, reason: 'TooManyRequests', retryAfterSeconds: 3 },
    })
    const answers = [await post(server, 'a'), await post(server, 'a')]
    expect(answers.map(({ status, headers }) => [status, headers.get('retry-after')])).toEqual([
      [429, '3'],
      [429, '3'],
    ])
    expect(stored(server)).toEqual([])
    expect((await post(server, 'a')).status).toBe(201)
  })

  it('reset a connection before or after the work', async () => {
    await using server = await KubeApiServer.start()
    server.faults.add({ matches: isCreation, times: 1, answer: { kind: 'reset' } })
    server.faults.add({ matches: isCreation, times: 1, answer: { kind: 'lost-answer' } })
    await expect(post(server, 'never')).rejects.toThrow()
    await expect(post(server, 'lost')).rejects.toThrow()
    expect(stored(server)).toEqual(['lost'])
  })

  it('disconnect watches, properly or not', async () => {
    await using server = await KubeApiServer.start()
    const open = () => fetch(`${server.url}${maps}?watch=1`)
    const ended = await open()
    server.disconnectWatches('end')
    expect(await ended.text()).toBe('')
    const broken = await open()
    server.disconnectWatches('reset')
    await expect(broken.text()).rejects.toThrow()
  })

  it('pause every answer and event until the server resumes', async () => {
    await using server = await KubeApiServer.start()
    server.pause()
    let isAnswered = false
    const answer = post(server, 'late').finally(() => (isAnswered = true))
    await sleep(50)
    expect([isAnswered, stored(server)]).toEqual([false, []])
    server.resume()
    expect((await answer).status).toBe(201)
  })
})

it('says that it is for the lab', async () => {
  const lines: string[] = []
  const log = (event: string, fields?: object) => lines.push(`${event} ${JSON.stringify(fields)}`)
  await using server = await KubeApiServer.start({ log: { debug: log, info: log, warn: log, error: log } })
  expect(lines.join('\n')).toMatch(/lab.kube-api.listening .*for the lab only/)
  expect(await (await fetch(`${server.url}/version`)).json()).toMatchObject({ gitVersion: 'v1.31.0-vcn-lab' })
})
