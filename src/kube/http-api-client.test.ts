import { describe, expect, test } from 'vitest'
import { unwrap } from '../base/result.ts'
import type { ApiClient, ApiResult } from './api-client.ts'
import { createApiClient } from './http-api-client.ts'
import { leases, nativePodNetworks, nodes, pods } from './resources.ts'
import { failure, json, kubeConfigFor, pod, podList, ScriptedServer, type Step } from './scripted-server.fixture.ts'

const never = new AbortController().signal
const ref = { namespace: 'shop', name: 'web' }

describe('what the server refuses', () => {
  const rows: readonly (readonly [string, Step, object])[] = [
    ['an object that is not there', failure(404, 'NotFound'), { kind: 'notFound', status: 404 }],
    ['a name that is taken', failure(409, 'AlreadyExists'), { kind: 'alreadyExists' }],
    ['an object that changed meanwhile', failure(409, 'Conflict'), { kind: 'conflict' }],
    ['a resourceVersion that is too old', failure(410, 'Expired'), { kind: 'gone' }],
    ['no permission', failure(403, 'Forbidden'), { kind: 'forbidden', message: 'Forbidden it is' }],
    ['expired credentials', failure(401, 'Unauthorized'), { kind: 'unauthorized' }],
    [
      'a body with wrong fields',
      failure(422, 'Invalid', { causes: [{ reason: 'FieldValueInvalid', message: 'too long', field: 'spec.id' }] }),
      { kind: 'invalid', causes: [{ field: 'spec.id', problem: 'too long' }] },
    ],
    [
      'too many requests, with Retry-After',
      json(429, {}, { 'retry-after': '3' }),
      { kind: 'tooManyRequests', retryAfterMs: 3000 },
    ],
    [
      'too many requests, with details',
      failure(429, 'TooManyRequests', { retryAfterSeconds: 7 }),
      { kind: 'tooManyRequests', retryAfterMs: 7000 },
    ],
    [
      'an overloaded server',
      failure(500, 'ServerTimeout', { retryAfterSeconds: 1 }),
      { kind: 'server', retryAfterMs: 1000 },
    ],
    ['a request that took the server too long', failure(504, 'Timeout'), { kind: 'timeout' }],
    [
      'a proxy that speaks no JSON',
      plain(502, '<h1>Bad Gateway</h1>'),
      { kind: 'server', message: '<h1>Bad Gateway</h1>' },
    ],
    ['an answer that is not JSON', plain(200, 'hello'), { kind: 'malformed' }],
    ['an object without metadata', json(200, { kind: 'Pod' }), { kind: 'malformed', causes: [{ field: 'metadata' }] }],
    ['half an answer', half, { kind: 'unreachable' }],
    ['a connection reset', (answer) => void answer.socket?.resetAndDestroy(), { kind: 'unreachable' }],
  ]
  test.each(rows)('%s', async (_name, step, expected) => {
    await using server = await ScriptedServer.start(step)
    const got = await server.client().get(pods, ref, never)
    expect(got).toMatchObject({ ok: false, error: { request: 'GET /api/v1/namespaces/shop/pods/web', ...expected } })
  })

  test('a server that never answers is a timeout', async () => {
    await using server = await ScriptedServer.start(() => undefined)
    const got = await server.client({ requestTimeoutMs: 50 }).get(pods, ref, never)
    expect(got).toMatchObject({ ok: false, error: { kind: 'timeout' } })
  })

  test('a server that stops in the middle of an answer is a timeout', async () => {
    await using server = await ScriptedServer.start((answer) => {
      answer.writeHead(200)
      answer.write('{"metadata":')
    })
    const got = await server.client({ requestTimeoutMs: 100 }).get(pods, ref, never)
    expect(got).toMatchObject({ ok: false, error: { kind: 'timeout' } })
  })

  test('nobody listening is unreachable', async () => {
    const client = createApiClient(kubeConfigFor('http://127.0.0.1:1'), { userAgent: 'test' })
    expect(await client.get(pods, ref, never)).toMatchObject({ ok: false, error: { kind: 'unreachable' } })
  })

  test('aborting rejects with the signal’s reason', async () => {
    await using server = await ScriptedServer.start(() => undefined)
    const aborting = new AbortController()
    const getting = server.client().get(pods, ref, aborting.signal)
    aborting.abort(new Error('enough'))
    await expect(getting).rejects.toThrow('enough')
  })
})

describe('what is sent', () => {
  const rows: readonly (readonly [string, (client: ApiClient) => ApiResult<unknown>, object])[] = [
    [
      'a create',
      (client) => client.create(leases, { metadata: ref, spec: { holderIdentity: 'a' } }, never),
      {
        method: 'POST',
        path: '/apis/coordination.k8s.io/v1/namespaces/shop/leases',
        body: { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: ref, spec: { holderIdentity: 'a' } },
        fieldValidation: 'Strict',
      },
    ],
    [
      'a replaced status of a cluster-scoped resource',
      (client) => client.replaceStatus(nativePodNetworks, { metadata: { name: 'n', resourceVersion: '4' } }, never),
      {
        method: 'PUT',
        path: '/apis/oci.oraclecloud.com/v1beta1/nativepodnetworks/n/status',
        fieldValidation: 'Strict',
      },
    ],
    [
      'a merge patch',
      (client) => client.patch(nodes, { name: 'a' }, { type: 'merge', body: { spec: { taints: null } } }, never),
      {
        method: 'PATCH',
        path: '/api/v1/nodes/a',
        contentType: 'application/merge-patch+json',
        body: { spec: { taints: null } },
        fieldValidation: 'Strict',
      },
    ],
    [
      'a JSON patch of a status',
      (client) =>
        client.patchStatus(nodes, { name: 'a' }, { type: 'json', operations: [{ op: 'remove', path: '/x' }] }, never),
      {
        path: '/api/v1/nodes/a/status',
        contentType: 'application/json-patch+json',
        body: [{ op: 'remove', path: '/x' }],
      },
    ],
    [
      'a strategic merge patch',
      (client) => client.patchStatus(nodes, { name: 'a' }, { type: 'strategic', body: {} }, never),
      { contentType: 'application/strategic-merge-patch+json' },
    ],
    [
      'a delete of one particular object',
      (client) => client.delete(pods, ref, { uid: 'u', gracePeriodSeconds: 0 }, never),
      {
        method: 'DELETE',
        path: '/api/v1/namespaces/shop/pods/web',
        body: { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid: 'u' }, gracePeriodSeconds: 0 },
      },
    ],
  ]
  test.each(rows)('%s', async (_name, call, expected) => {
    await using server = await ScriptedServer.start(json(200, pod('web', '1')))
    unwrap(await call(server.client()))
    const [request] = server.requests
    const sent = {
      method: request?.method,
      path: request?.path,
      contentType: request?.headers['content-type'],
      fieldValidation: request?.query.get('fieldValidation'),
      body: JSON.parse(request?.body ?? '') as unknown,
    }
    expect(sent).toMatchObject(expected)
    expect(request?.headers).toMatchObject({ authorization: 'Bearer secret', 'user-agent': 'test' })
  })

  test('requests share a connection', async () => {
    const ports = new Set<number | undefined>()
    await using server = await ScriptedServer.start((answer, request, closed) => {
      ports.add(answer.socket?.remotePort)
      return json(200, pod('web', '1'))(answer, request, closed)
    })
    const client = server.client()
    for (let count = 0; count < 3; count++) unwrap(await client.get(pods, ref, never))
    expect(ports.size).toBe(1)
  })
})

describe('a list', () => {
  test('is read page by page', async () => {
    await using server = await ScriptedServer.start(
      podList('9', [pod('a', '1')], 'more'),
      podList('9', [pod('b', '2')], 'still more'),
      podList('9', [pod('c', '3')]),
    )
    const listed = unwrap(
      await server.client().list(pods, { namespace: 'shop', pageSize: 1, labelSelector: 'app=web' }, never),
    )
    expect(listed.items.map(({ metadata }) => metadata.name)).toEqual(['a', 'b', 'c'])
    expect(listed.resourceVersion).toBe('9')
    expect(server.requests.map(({ query }) => query.get('continue'))).toEqual([null, 'more', 'still more'])
    expect(server.requests.map(({ query }) => `${query.get('limit')} ${query.get('labelSelector')}`)).toEqual(
      Array(3).fill('1 app=web'),
    )
  })

  test('whose token expired is gone', async () => {
    await using server = await ScriptedServer.start(podList('9', [pod('a', '1')], 'more'), failure(410, 'Expired'))
    expect(await server.client().list(pods, {}, never)).toMatchObject({ ok: false, error: { kind: 'gone' } })
  })

  test('tells which objects do not parse and keeps the others', async () => {
    const odd = { metadata: { name: 'odd', namespace: 'shop' }, spec: { nodeName: 7 } }
    await using server = await ScriptedServer.start(podList('9', [odd, pod('a', '1')]))
    const listed = unwrap(await server.client().list(pods, {}, never))
    expect(listed.items.map(({ metadata }) => metadata.name)).toEqual(['a'])
    expect(listed.malformed).toMatchObject([{ key: 'shop/odd', errors: [{ field: 'spec.nodeName' }] }])
  })
})

function plain(status: number, text: string): Step {
  return (answer) => {
    answer.writeHead(status)
    answer.end(text)
  }
}

function half(answer: Parameters<Step>[0]): void {
  answer.writeHead(200, { 'content-length': '100' })
  answer.write('{"metadata":', () => answer.destroy())
}
