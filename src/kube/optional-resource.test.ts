import { describe, expect, test } from 'vitest'
import { err, ok } from '../base/result.ts'
import type { ApiClient, ApiResult, ObjectList, WatchItem } from './api-client.ts'
import { FakeScheduler, settled } from './fake-scheduler.fixture.ts'
import type { KubeObject } from './object.ts'
import { withOptionalResource } from './optional-resource.ts'
import { clusterNetworkPolicies } from './policy-resources.ts'

const { signal } = new AbortController()
const againMs = 30_000
const query = { resourceVersion: 'absent', timeoutSeconds: 300, silenceMs: 1000 }

/** An API server without the resource, until it has it. No API server of ours loses a CRD in the midst of a test. */
class Server implements Pick<ApiClient, 'list' | 'watch'> {
  kind: 'notFound' | 'forbidden' | undefined = 'notFound'
  lists = 0
  watches = 0

  list<T extends KubeObject>(): ApiResult<ObjectList<T>> {
    this.lists++
    const { kind } = this
    const listed = kind === undefined ? ok({ items: [], malformed: [], resourceVersion: '7' }) : undefined
    return Promise.resolve(listed ?? err({ kind: kind ?? 'notFound', request: 'LIST', message: '' }))
  }

  watch<T extends KubeObject>(): ApiResult<AsyncIterable<WatchItem<T>>> {
    this.watches++
    return Promise.resolve(err({ kind: 'gone', request: 'WATCH', message: 'of the server' }))
  }
}

test('a resource that the API server does not have is an empty list', async () => {
  const client = withOptionalResource(new Server(), againMs, new FakeScheduler())
  expect(await client.list(clusterNetworkPolicies, {}, signal)).toEqual(
    ok({ items: [], malformed: [], resourceVersion: 'absent' }),
  )
})

test('a right that is missing is no empty list', async () => {
  const server = new Server()
  server.kind = 'forbidden'
  const client = withOptionalResource(server, againMs, new FakeScheduler())
  expect(await client.list(clusterNetworkPolicies, {}, signal)).toMatchObject({ error: { kind: 'forbidden' } })
})

test('its watch asks again more and more slowly, and ends when the resource is there', async () => {
  const server = new Server()
  const scheduler = new FakeScheduler()
  const client = withOptionalResource(server, againMs, scheduler)
  const opened = await client.watch(clusterNetworkPolicies, query, signal)
  const items: WatchItem<KubeObject>[] = []
  const reading = (async () => {
    if (opened.ok) for await (const item of opened.value) items.push(item)
  })()
  const lists: number[] = []
  for (const seconds of [1, 2, 4, 8, 16, 30, 30]) {
    await scheduler.advance(seconds * 1000)
    lists.push(server.lists)
  }
  expect({ lists, items }).toEqual({ lists: [1, 2, 3, 4, 5, 6, 7], items: [] })
  server.kind = undefined
  await scheduler.advance(againMs)
  await settled()
  await reading
  expect(items).toMatchObject([{ type: 'failed', error: { kind: 'gone' } }])
  expect(server.watches).toBe(0)
})

describe('where it was there', () => {
  async function listed(kinds: readonly Server['kind'][]): Promise<readonly string[]> {
    const server = new Server()
    const scheduler = new FakeScheduler()
    const client = withOptionalResource(server, againMs, scheduler)
    const seen: string[] = []
    for (const kind of kinds) {
      server.kind = kind
      const list = await client.list(clusterNetworkPolicies, {}, signal)
      seen.push(list.ok ? list.value.resourceVersion : list.error.kind)
      await scheduler.advance(30_000)
    }
    return seen
  }

  test.each<[what: string, kinds: readonly Server['kind'][], seen: readonly string[]]>([
    ['a 404 is a failure', [undefined, 'notFound', undefined], ['7', 'notFound', '7']],
    [
      'a 404 that lasts for a minute is an empty list',
      [undefined, 'notFound', 'notFound', 'notFound', 'notFound'],
      ['7', 'notFound', 'notFound', 'absent', 'absent'],
    ],
    [
      'a 404 among other failures is one',
      [undefined, 'notFound', 'notFound', 'forbidden', 'notFound', 'notFound'],
      ['7', 'notFound', 'notFound', 'forbidden', 'notFound', 'notFound'],
    ],
  ])('%s', async (_what, kinds, seen) => {
    expect(await listed(kinds)).toEqual(seen)
  })
})

test('a watch from a version of the server’s is the server’s', async () => {
  const server = new Server()
  const client = withOptionalResource(server, againMs, new FakeScheduler())
  const opened = await client.watch(clusterNetworkPolicies, { ...query, resourceVersion: '7' }, signal)
  expect(opened).toMatchObject({ error: { message: 'of the server' } })
})
