import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { unwrap } from '../../src/base/result.ts'
import { nodes } from '../../src/kube/resources.ts'
import { type Fault, FaultPlan } from '../../src/lab/oci-api/faults.ts'
import { patience, settled, soon } from './cloud-observations.ts'
import { ControlledCloud } from './controlled-cloud.ts'
import { SimulatedAgent } from './simulated-agent.ts'

const watchedMs = 5000

function always(operation: string, status: number, code: string): FaultPlan {
  const fault: Fault = { kind: 'status', status, code }
  return new FaultPlan([{ operation, when: { kind: 'always' }, fault }], 1)
}

async function callsDuring(cloud: ControlledCloud, durationMs: number): Promise<Record<string, number>> {
  const before = new Map([...cloud.oci.counts].map(([operation, { calls }]) => [operation, calls]))
  await sleep(durationMs)
  return Object.fromEntries(
    [...cloud.oci.counts].map(([operation, { calls }]) => [operation, calls - (before.get(operation) ?? 0)]),
  )
}

function total(calls: Readonly<Record<string, number>>): number {
  return Object.values(calls).reduce((sum, one) => sum + one, 0)
}

describe('what is refused for ever is asked for more and more slowly, and told', () => {
  test.each([
    ['GetVnic', 401, 'NotAuthenticated', true],
    ['AttachVnic', 404, 'NotAuthorizedOrNotFound', true],
    ['AttachVnic', 409, 'Conflict', true],
    ['AttachVnic', 400, 'InvalidParameter', true],
    ['CreatePrivateIp', 409, 'Conflict', true],
    ['CreatePrivateIp', 400, 'InvalidParameter', false],
    ['CreatePrivateIp', 409, 'Conflict', false],
    ['CreatePrivateIp', 400, 'LimitExceeded', false],
  ] as const)(
    '%s answers %i %s (blocks preferred: %s)',
    { timeout: 40_000 },
    async (operation, status, code, preferBlocks) => {
      await using cloud = await ControlledCloud.start({
        elastic: { preferBlocks },
        api: { faults: always(operation, status, code) },
      })
      const { npn } = await cloud.addNode({ name: 'worker-1' })
      await cloud.startController()
      await expect.poll(() => cloud.oci.counts.get(operation)?.calls ?? 0, patience).toBeGreaterThan(0)
      const calls = await callsDuring(cloud, watchedMs)
      const { state } = await cloud.status(npn)
      expect.soft(state).toBe('BACKOFF')
      expect(total(calls)).toBeLessThan(60)
    },
  )

  test('DeletePrivateIp answers 404', { timeout: 40_000 }, async () => {
    await using cloud = await ControlledCloud.start({ elastic: { preferBlocks: false } })
    const { npn } = await cloud.addNode({ name: 'worker-1' })
    await using agent = new SimulatedAgent(cloud.client, npn)
    await cloud.startController()
    agent.pods = 10
    await expect.poll(() => agent.held.size, patience).toBe(10)
    cloud.oci.setFaults(always('DeletePrivateIp', 404, 'NotAuthorizedOrNotFound'))
    agent.pods = 1
    await expect.poll(() => cloud.oci.counts.get('DeletePrivateIp')?.calls ?? 0, patience).toBeGreaterThan(0)
    const calls = await callsDuring(cloud, watchedMs)
    const { state } = await cloud.status(npn)
    expect.soft(state).toBe('BACKOFF')
    expect(total(calls)).toBeLessThan(60)
  })
})

test(
  'twenty nodes whose controller’s credentials have expired leave most of the quota alone',
  { timeout: 60_000 },
  async () => {
    const plan = new FaultPlan(
      [
        {
          operation: 'GetVnic',
          when: { kind: 'always' },
          fault: { kind: 'status', status: 401, code: 'NotAuthenticated' },
        },
      ],
      1,
    )
    await using cloud = await ControlledCloud.start({ api: { faults: plan }, rate: { perSecond: 20, burst: 5 } })
    for (let i = 0; i < 20; i++) await cloud.addNode({ name: `worker-${i}` })
    await cloud.startController()
    await sleep(8000)
    const before = new Map([...cloud.oci.counts].map(([o, { calls }]) => [o, calls]))
    await sleep(4000)
    const calls = [...cloud.oci.counts].map(([operation, one]) => one.calls - (before.get(operation) ?? 0))
    expect(Math.max(...calls)).toBeLessThan(40)
  },
)

test('attach that always fails is not hot', { timeout: 60_000 }, async () => {
  await using cloud = await ControlledCloud.start({ settings: { failsAttach: () => true } })
  await cloud.addNode({ name: 'worker-1' })
  await cloud.startController()
  await sleep(5000)
  const calls = cloud.oci.counts.get('AttachVnic')?.calls
  expect(calls).toBeLessThan(10)
})

test(
  'while the watch of resources is down, conflicts are not met twenty times a second',
  { timeout: 60_000 },
  async () => {
    await using cloud = await ControlledCloud.start({
      elastic: { preferBlocks: false },
      config: { shrinkDelaySeconds: 2 },
    })
    const { npn } = await cloud.addNode({ name: 'worker-1' })
    await using agent = new SimulatedAgent(cloud.client, npn)
    await cloud.startController()
    agent.pods = 20
    await expect.poll(() => agent.held.size, patience).toBe(20)
    await settled(cloud, npn)
    agent.pods = 2
    await sleep(500)
    const broken = ({ method, path, query }: { method: string; path: string; query: string }): boolean =>
      method === 'GET' && path.endsWith('/nativepodnetworks') && !query.includes('metadata.name')
    let patches = 0
    cloud.kube.faults.add({
      matches: (request) => {
        if (request.method === 'PATCH' && request.path.endsWith('/status')) patches++
        return broken(request)
      },
      answer: { kind: 'status', code: 500 },
      times: Infinity,
    })
    cloud.kube.disconnectWatches()
    await sleep(100)
    agent.pods = 3
    await sleep(2500)
    patches = 0
    await sleep(3000)
    cloud.kube.faults.clear()
    await settled(cloud, npn)
    expect.soft(agent.violations).toEqual([])
    expect(patches).toBeLessThan(12)
  },
)

test(
  'a Node that registered anew while the watch of Nodes is down does not make its resource come and go',
  { timeout: 60_000 },
  async () => {
    await using cloud = await ControlledCloud.start()
    const { npn, instance } = await cloud.addNode({ name: 'worker-1' })
    await cloud.startController()
    await expect.poll(async () => (await cloud.status(npn)).state, { timeout: 15_000 }).toBe('SUCCESS')
    let posts = 0
    cloud.kube.faults.add({
      matches: ({ method, path }) => {
        if (method === 'POST' && path.endsWith('/nativepodnetworks')) posts++
        return method === 'GET' && path.endsWith('/nodes')
      },
      answer: { kind: 'status', code: 500 },
      times: Infinity,
    })
    cloud.kube.disconnectWatches()
    await sleep(200)
    unwrap(await cloud.client.delete(nodes, { name: 'worker-1' }, {}, soon()))
    const manifest = { metadata: { name: 'worker-1' }, spec: { providerID: `oci://${instance.id}` } }
    unwrap(await cloud.client.create(nodes, manifest, soon()))
    const before = cloud.oci.counts.get('GetInstance')?.calls ?? 0
    await sleep(3000)
    const calls = (cloud.oci.counts.get('GetInstance')?.calls ?? 0) - before
    expect(posts).toBeLessThan(10)
    expect(calls).toBeLessThan(10)
  },
)
