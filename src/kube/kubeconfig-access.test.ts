import { randomBytes } from 'node:crypto'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest'
import { unwrap } from '../base/result.ts'
import { KubeApiServer } from '../lab/kube-api/server.ts'
import type { ApiAccess, ApiCredentials } from './api-access.ts'
import { createApiClient } from './http-api-client.ts'
import { inClusterAccess } from './in-cluster-access.ts'
import { kubeconfigFileAccess } from './kubeconfig-access.ts'
import { nodes } from './resources.ts'

let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), `kube-access-${randomBytes(4).toString('hex')}-`))
})

afterEach(() => {
  rmSync(directory, { recursive: true })
})

function write(name: string, content: unknown): string {
  const path = join(directory, name)
  // As kubelet does it: another file in its place.
  writeFileSync(`${path}.new`, typeof content === 'string' ? content : JSON.stringify(content))
  renameSync(`${path}.new`, path)
  return path
}

const base64 = (text: string): string => Buffer.from(text).toString('base64')
const https = { server: 'https://a:6443' }

function config(cluster: object, user: object = { token: 't' }): object {
  return {
    clusters: [
      { name: 'c', cluster },
      { name: 'other', cluster: {} },
    ],
    users: [
      { name: 'u', user },
      { name: 'other', user: { exec: {} } },
    ],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  }
}

async function credentials(access: ApiAccess): Promise<ApiCredentials> {
  return unwrap(await access.credentials())
}

describe('a kubeconfig', () => {
  test.each<[what: string, cluster: object, user: object, expected: object]>([
    ['an inline token', https, { token: 't' }, { headers: { authorization: 'Bearer t' }, options: {} }],
    [
      'inline certificates',
      { ...https, 'certificate-authority-data': base64('ca') },
      { 'client-certificate-data': base64('cert'), 'client-key-data': base64('key') },
      { headers: {}, options: { ca: 'ca', cert: 'cert', key: 'key' } },
    ],
    [
      'files beside it',
      { ...https, 'certificate-authority': 'ca.pem' },
      { 'client-certificate': 'cert.pem', 'client-key': 'key.pem', tokenFile: 'token', token: 'stale' },
      {
        headers: { authorization: 'Bearer from-file' },
        options: { ca: 'ca in a file', cert: 'cert in a file', key: 'key in a file' },
      },
    ],
    [
      'another server name, and no look at its certificate',
      { ...https, 'tls-server-name': 'b', 'insecure-skip-tls-verify': true },
      {},
      { headers: {}, options: { servername: 'b', rejectUnauthorized: false } },
    ],
  ])('with %s', async (_what, cluster, user, expected) => {
    write('ca.pem', 'ca in a file')
    write('cert.pem', 'cert in a file')
    write('key.pem', 'key in a file')
    write('token', 'from-file\n')
    const access = unwrap(kubeconfigFileAccess(write('config', config(cluster, user))))
    expect(access.server.href).toBe('https://a:6443/')
    expect(await credentials(access)).toEqual(expected)
  })

  test.each<[what: string, content: unknown, problem: string]>([
    ['text', 'hello', 'expected object'],
    ['nothing of what it needs', {}, 'current-context: is required: must name a context'],
    ['a context that does not exist', { ...config(https), 'current-context': 'y' }, '"y", names no cluster'],
    ['no user', { ...config(https), users: [] }, '"x", names no user'],
    ['no server', config({}), 'cluster c: server: is required: must be the URL of the API server'],
    ['a server that is no URL', config({ server: 'nowhere' }), 'server "nowhere" is not a URL'],
    ['another protocol', config({ server: 'ftp://a' }), 'neither https nor http'],
    ['plain http', config({ server: 'http://a' }), 'set insecure-skip-tls-verify: true'],
    ['an exec plugin', config(https, { exec: { command: 'oci' } }), 'users with an exec plugin are not supported'],
    ['an auth-provider', config(https, { 'auth-provider': {} }), 'users with an auth-provider are not supported'],
    ['a password', config(https, { username: 'a', password: 'b' }), 'a user name and a password are not supported'],
    ['a proxy', config({ ...https, 'proxy-url': 'http://p' }), 'proxy-url is not supported'],
  ])('with %s is refused', (_what, content, problem) => {
    const path = write('config', content)
    const access = kubeconfigFileAccess(path)
    expect(access.ok ? '' : access.error).toContain(problem)
    expect(access.ok ? '' : access.error).toContain(path)
  })

  it('that does not exist is refused', () => {
    expect(kubeconfigFileAccess(join(directory, 'none'))).toMatchObject({ ok: false })
  })

  it('lets us in at a server with its own authority', async () => {
    await using server = await KubeApiServer.start({ tls: true })
    const access = unwrap(kubeconfigFileAccess(write('config', server.kubeconfig())))
    const client = createApiClient(access, { userAgent: 'test' })
    expect(await client.list(nodes, {}, new AbortController().signal)).toMatchObject({ ok: true })
    client.close()
  })
})

describe('in a pod', () => {
  const environment = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' }

  it('the service account’s token is read again when kubelet has replaced it', async () => {
    write('ca.crt', 'ca')
    write('token', 'first')
    const access = unwrap(inClusterAccess(environment, directory))
    expect(access.server.href).toBe('https://[fd00::1]/')
    expect(await credentials(access)).toEqual({ headers: { authorization: 'Bearer first' }, options: { ca: 'ca' } })
    write('token', 'again')
    expect((await credentials(access)).headers).toEqual({ authorization: 'Bearer again' })
  })

  it('a token that is not there is a lack of credentials, until it is there', async () => {
    write('ca.crt', 'ca')
    const access = unwrap(inClusterAccess(environment, directory))
    const refused = await access.credentials()
    expect(refused.ok ? '' : refused.error).toContain('ENOENT')
    write('token', 'late')
    expect((await credentials(access)).headers).toEqual({ authorization: 'Bearer late' })
  })

  test.each([
    ['no host', { KUBERNETES_SERVICE_PORT: '443' }, 'not in a pod'],
    ['no port', { KUBERNETES_SERVICE_HOST: 'a', KUBERNETES_SERVICE_PORT: '' }, 'not in a pod'],
    ['a host that is none', { KUBERNETES_SERVICE_HOST: 'a b', KUBERNETES_SERVICE_PORT: '1' }, 'make no URL'],
  ])('%s is refused', (_what, given, problem) => {
    const access = inClusterAccess(given, directory)
    expect(access.ok ? '' : access.error).toContain(problem)
  })
})
