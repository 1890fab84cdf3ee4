import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { unwrap } from '../base/result.ts'
import { createApiClient } from './http-api-client.ts'
import { type KubeConfigSource, loadKubeConfig } from './kube-config.ts'
import { nodes } from './resources.ts'
import { json, ScriptedServer } from './scripted-server.fixture.ts'

async function withConfig<T>(config: unknown, use: (source: KubeConfigSource) => T | Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), `kube-config-${randomBytes(4).toString('hex')}-`))
  try {
    const path = join(directory, 'config')
    await writeFile(path, JSON.stringify(config))
    return await use({ kind: 'file', path })
  } finally {
    await rm(directory, { recursive: true })
  }
}

function config(cluster: object, user: object = { token: 't' }): object {
  return {
    clusters: [{ name: 'c', cluster }],
    users: [{ name: 'u', user }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  }
}

const wrong: readonly (readonly [string, object, string])[] = [
  ['no clusters', { 'current-context': 'x' }, '"x", names no cluster'],
  ['no user', { ...config({ server: 'https://a' }), users: [] }, '"x", names no user'],
  [
    'a context that does not exist',
    { ...config({ server: 'https://a' }), 'current-context': 'y' },
    '"y", names no cluster',
  ],
  ['a server that is no URL', config({ server: 'nowhere' }), 'server "nowhere" is not a URL'],
  ['another protocol', config({ server: 'ftp://a' }), 'neither https nor http'],
  ['plain http', config({ server: 'http://a' }), 'set insecure-skip-tls-verify: true'],
]
test.each(wrong)('a kubeconfig with %s is refused', async (_name, content, problem) => {
  const loaded = await withConfig(content, loadKubeConfig)
  expect(loaded.ok ? '' : loaded.error).toContain(problem)
})

test('a kubeconfig file that does not exist is refused', () => {
  expect(loadKubeConfig({ kind: 'file', path: '/does/not/exist' })).toMatchObject({ ok: false })
})

test('an exec plugin’s token is sent, and its failure is a lack of credentials', async () => {
  await using server = await ScriptedServer.start(json(200, { metadata: { name: 'a' } }))
  const cluster = { server: `http://127.0.0.1:${server.port}`, 'insecure-skip-tls-verify': true }
  const get = async (script: string): Promise<unknown> => {
    const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: 'sh', args: ['-c', script] }
    const loaded = unwrap(await withConfig(config(cluster, { exec }), loadKubeConfig))
    return createApiClient(loaded, { userAgent: 'test' }).get(nodes, { name: 'a' }, new AbortController().signal)
  }
  expect(await get(`echo '{"status":{"token":"from-exec"}}'`)).toMatchObject({ ok: true })
  expect(server.requests[0]?.headers.authorization).toBe('Bearer from-exec')
  expect(await get('echo no key here >&2; exit 1')).toMatchObject({
    ok: false,
    error: { kind: 'unauthorized', message: expect.stringContaining('no key here') as string },
  })
  expect(server.requests.length).toBe(1)
})
