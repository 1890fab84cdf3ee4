import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { parse } from 'yaml'
import { silentLogger } from '../base/logger.ts'
import { unwrap } from '../base/result.ts'
import { KubeApiServer } from '../lab/kube-api/server.ts'
import type { ApiClient } from './api-client.ts'
import { EventRecorder } from './event-recorder.ts'
import { createApiClient } from './http-api-client.ts'
import { loadKubeConfig } from './kube-config.ts'
import { leadWhenElected } from './leader-election.ts'
import { classicSpec, classicStatus, elasticSpec, elasticStatus, karpenterSpec } from './native-pod-network.fixture.ts'
import type { Manifest } from './object.ts'
import { referenceTo } from './object-reference.ts'
import { Reflector } from './reflector.ts'
import { customResourceDefinitions, events, leases, nativePodNetworks, nodes } from './resources.ts'
import { systemScheduler } from './scheduler.ts'

const never = new AbortController().signal

interface Cluster extends AsyncDisposable {
  readonly server: KubeApiServer
  readonly client: ApiClient
}

/** The lab's API server over https, with our CRD in it, and a client from its kubeconfig file. */
async function cluster(): Promise<Cluster> {
  await using stack = new AsyncDisposableStack()
  const server = stack.use(await KubeApiServer.start({ tls: true, bookmarkIntervalMs: 50 }))
  const directory = await mkdtemp(join(tmpdir(), `kube-test-${randomBytes(4).toString('hex')}-`))
  stack.defer(() => rm(directory, { recursive: true }))
  await writeFile(join(directory, 'config'), server.kubeconfig())
  const config = unwrap(loadKubeConfig({ kind: 'file', path: join(directory, 'config') }))
  const client = createApiClient(config, { userAgent: 'test', requestTimeoutMs: 5_000 })
  stack.defer(() => client.close())
  const crd = parse(await readFile(new URL('../../deploy/crd.yaml', import.meta.url), 'utf8')) as Manifest
  unwrap(await client.create(customResourceDefinitions, crd, never))
  await until(async () => unwrap(await client.list(nativePodNetworks, {}, never)))
  const owned = stack.move()
  return { server, client, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

async function until(check: () => unknown): Promise<void> {
  await vi.waitFor(check, { timeout: 15_000, interval: 10 })
}

describe('the custom resource', () => {
  test.each([
    ['OKE’s classic form', classicSpec],
    ['Karpenter’s form', karpenterSpec],
    ['ours', elasticSpec],
  ])('in %s is accepted, and its status written and read back', async (_name, spec) => {
    await using run = await cluster()
    const made = unwrap(await run.client.create(nativePodNetworks, { metadata: { name: 'aaaa' }, spec }, never))
    expect(unwrap(made.spec).instanceId).toBe(classicSpec.id)
    const status = { type: 'merge', body: { status: elasticStatus } } as const
    const patched = unwrap(await run.client.patchStatus(nativePodNetworks, { name: 'aaaa' }, status, never))
    expect(unwrap(patched.status)).toMatchObject({ state: 'SUCCESS', elastic: { usedAddresses: 1 } })
  })

  test('with a field that does not exist is invalid, and the answer names it', async () => {
    await using run = await cluster()
    const manifest = { metadata: { name: 'aaaa' }, spec: { ...classicSpec, podSubnets: [] } }
    const made = await run.client.create(nativePodNetworks, manifest, never)
    expect(made).toMatchObject({ ok: false, error: { kind: 'invalid' } })
    expect(made.ok ? '' : made.error.message).toContain('podSubnets')
  })

  test('changed by two writers from the same version is a conflict for the second', async () => {
    await using run = await cluster()
    const made = unwrap(
      await run.client.create(nativePodNetworks, { metadata: { name: 'aaaa' }, spec: classicSpec }, never),
    )
    const { resourceVersion } = made.metadata
    const write = (reason: string): ReturnType<typeof run.client.patchStatus> => {
      const body = { metadata: { resourceVersion }, status: { ...classicStatus, reason } }
      return run.client.patchStatus(nativePodNetworks, { name: 'aaaa' }, { type: 'merge', body }, never)
    }
    expect((await write('COMPLETED')).ok).toBe(true)
    expect(await write('IN_PROGRESS')).toMatchObject({ ok: false, error: { kind: 'conflict' } })
    const replacement = { metadata: { name: 'aaaa', resourceVersion }, spec: classicSpec, status: classicStatus }
    const replaced = await run.client.replaceStatus(nativePodNetworks, replacement, never)
    expect(replaced).toMatchObject({ ok: false, error: { kind: 'conflict' } })
  })
})

test('a reflector loses nothing to broken watches, compaction and a pause', async () => {
  await using run = await cluster()
  const told: string[] = []
  const reflector = new Reflector({
    client: run.client,
    resource: nodes,
    handlers: {
      added: ({ metadata }) => told.push(`+${metadata.name}`),
      deleted: ({ metadata }) => told.push(`-${metadata.name}`),
    },
    scheduler: systemScheduler,
    random: Math.random,
    logger: silentLogger,
    timing: { watchSeconds: 30, silenceMs: 1_000, backoff: { baseMs: 5, maxMs: 50 } },
  })
  const stopping = new AbortController()
  const running = reflector.run(stopping.signal)
  const make = async (name: string): Promise<void> => {
    unwrap(await run.client.create(nodes, { metadata: { name } }, never))
  }
  await make('a')
  await until(() => expect(told).toEqual(['+a']))
  run.server.disconnectWatches('reset')
  await make('b')
  await until(() => expect(told).toEqual(['+a', '+b']))
  unwrap(await run.client.delete(nodes, { name: 'a' }, {}, never))
  run.server.disconnectWatches('reset')
  run.server.compact()
  await make('c')
  await until(() => expect(told.toSorted()).toEqual(['+a', '+b', '+c', '-a']))
  run.server.pause()
  await until(() => expect(reflector.health().lastError?.error.kind).toBe('timeout'))
  run.server.resume()
  await make('d')
  await until(() => expect(told).toContain('+d'))
  expect([...reflector.cache.snapshot().objects.keys()].toSorted()).toEqual(['b', 'c', 'd'])
  stopping.abort()
  await running
})

test('of two candidates one leads; when it stops the other one does', async () => {
  await using run = await cluster()
  const leading: string[] = []
  const [first, second] = [new AbortController(), new AbortController()]
  const elect = (identity: string, stopping: AbortController): Promise<string> =>
    leadWhenElected(
      {
        client: run.client,
        lease: { namespace: 'kube-system', name: 'vcn-cni' },
        identity,
        leaseDurationMs: 3_000,
        renewDeadlineMs: 2_000,
        retryPeriodMs: 20,
        scheduler: systemScheduler,
        random: Math.random,
        logger: silentLogger,
      },
      async (signal) => {
        leading.push(`${identity} begins`)
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
        leading.push(`${identity} ends`)
      },
      stopping.signal,
    )
  const a = elect('a', first)
  await until(() => expect(leading).toEqual(['a begins']))
  const b = elect('b', second)
  const lease = { namespace: 'kube-system', name: 'vcn-cni' }
  const renewals = new Set<string | undefined>()
  await until(async () => {
    renewals.add(unwrap(await run.client.get(leases, lease, never)).renewTime)
    expect(renewals.size).toBeGreaterThan(5)
  })
  expect(leading).toEqual(['a begins'])
  first.abort()
  await until(() => expect(leading).toEqual(['a begins', 'a ends', 'b begins']))
  second.abort()
  expect(await Promise.all([a, b])).toEqual(['stopped', 'stopped'])
})

test('events about a node are counted in one Event', async () => {
  await using run = await cluster()
  const node = unwrap(await run.client.create(nodes, { metadata: { name: 'a' } }, never))
  const recorder = new EventRecorder({
    client: run.client,
    component: 'vcn-cni-controller',
    instance: 'test',
    scheduler: systemScheduler,
    random: Math.random,
    logger: silentLogger,
  })
  const stopping = new AbortController()
  const running = recorder.run(stopping.signal)
  const facts = { regarding: referenceTo(nodes, node), type: 'Warning', reason: 'SubnetFull', note: 'full' } as const
  recorder.record(facts)
  await until(() => expect(recorder.stats().writtenTotal).toBe(1))
  recorder.record(facts)
  await until(() => expect(recorder.stats().writtenTotal).toBe(2))
  const { items } = unwrap(await run.client.list(events, { namespace: 'default' }, never))
  expect(items.map(({ raw }) => raw['count'])).toEqual([2])
  stopping.abort()
  await running
})
