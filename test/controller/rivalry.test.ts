import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { unwrap } from '../../src/base/result.ts'
import type { ApiClient } from '../../src/kube/api-client.ts'
import { nativePodNetworks } from '../../src/kube/resources.ts'
import { podVnicCounts } from './cloud-comparison.ts'
import { disagreements, eventsAbout, patience, settled, soon } from './cloud-observations.ts'
import { ControlledCloud } from './controlled-cloud.ts'
import { SimulatedAgent } from './simulated-agent.ts'

describe('nobody is accused of an edit that nobody made', () => {
  test('when the resource is deleted and made again', { timeout: 40_000 }, async () => {
    await using cloud = await ControlledCloud.start()
    const { npn } = await cloud.addNode({ name: 'worker-1' })
    await cloud.startController()
    await settled(cloud, npn)
    const { uid } = (await cloud.npn(npn)).metadata
    await sleep(300)
    unwrap(await cloud.client.delete(nativePodNetworks, { name: npn }, {}, soon()))
    await expect
      .poll(async () => (await cloud.client.get(nativePodNetworks, { name: npn }, soon())).ok, patience)
      .toBe(true)
    await settled(cloud, npn)
    expect((await cloud.npn(npn)).metadata.uid).not.toBe(uid)
    await sleep(500)
    const conditions = (await cloud.status(npn)).conditions.map(({ type }) => type)
    expect.soft(conditions).not.toContain('StatusIntact')
    expect((await eventsAbout(cloud, npn)).filter((one) => one.includes(' StatusEdited: '))).toEqual([])
  })

  test('when the answer to a write of the status is lost', { timeout: 40_000 }, async () => {
    await using cloud = await ControlledCloud.start()
    const { npn } = await cloud.addNode({ name: 'worker-1' })
    await using agent = new SimulatedAgent(cloud.client, npn)
    await cloud.startController()
    await settled(cloud, npn)
    await sleep(300)
    const lossy = cloud.kube.faults
    // The agent's report triggers growth; every controller write of vnics loses its answer twice.
    agent.pods = 20
    await sleep(40)
    lossy.add({
      matches: ({ method, path }) => method === 'PATCH' && path.endsWith('/status'),
      answer: { kind: 'lost-answer' },
      times: 3,
    })
    await expect.poll(() => agent.held.size, patience).toBe(20)
    await settled(cloud, npn)
    await sleep(500)
    expect.soft((await cloud.status(npn)).conditions.map(({ type }) => type)).not.toContain('StatusIntact')
    expect((await eventsAbout(cloud, npn)).filter((one) => one.includes(' StatusEdited: '))).toEqual([])
  })
})

test(
  'of two resources for one instance the younger one counts when the older one is deleted',
  { timeout: 40_000 },
  async () => {
    await using cloud = await ControlledCloud.start()
    const { npn, instance } = await cloud.addNode({ name: 'worker-1' })
    await cloud.startController()
    await settled(cloud, npn)
    await sleep(1100)
    const spec = { id: instance.id, podSubnetIds: [cloud.podSubnets[0]?.id ?? ''] }
    unwrap(await cloud.client.create(nativePodNetworks, { metadata: { name: 'younger' }, spec }, soon()))
    await expect.poll(async () => (await cloud.status('younger')).state, patience).toBe('BACKOFF')
    await sleep(1100)
    unwrap(await cloud.client.delete(nativePodNetworks, { name: npn }, {}, soon()))
    await sleep(3000)
    const states = [(await cloud.status('younger')).state, (await cloud.status(npn)).state]
    expect(states).toContain('SUCCESS')
  },
)

test(
  'a write of the status that arrives late does not publish addresses that are gone',
  { timeout: 60_000 },
  async () => {
    const gate = { holds: false, held: 0, open: Promise.withResolvers<undefined>() }
    let isFirst = true
    const wrapClient = (client: ApiClient): ApiClient => {
      if (!isFirst) return client
      isFirst = false
      return {
        listPage: client.listPage.bind(client),
        replace: client.replace.bind(client),
        replaceStatus: client.replaceStatus.bind(client),
        list: client.list.bind(client),
        watch: client.watch.bind(client),
        get: client.get.bind(client),
        create: client.create.bind(client),
        delete: client.delete.bind(client),
        patch: client.patch.bind(client),
        close: client.close.bind(client),
        patchStatus: async (resource, id, patch, signal) => {
          const body = JSON.stringify('body' in patch ? patch.body : {})
          if (gate.holds && body.includes('"vnics"')) {
            gate.held++
            await gate.open.promise
            return client.patchStatus(resource, id, patch, soon())
          }
          return client.patchStatus(resource, id, patch, signal)
        },
      }
    }
    await using cloud = await ControlledCloud.start({
      elastic: { preferBlocks: false, minimumAddresses: 2, warmAddresses: 2 },
      wrapClient,
    })
    const { npn } = await cloud.addNode({ name: 'worker-1' })
    const agent = new SimulatedAgent(cloud.client, npn)
    await cloud.startController()
    await settled(cloud, npn)
    gate.holds = true
    agent.pods = 8
    await expect.poll(() => gate.held, patience).toBeGreaterThan(0)
    // The process stands still (a frozen machine); another one takes over.
    agent.pods = 1
    await sleep(100)
    await cloud.startController()
    const inCloud = (): readonly string[] =>
      cloud.model.privateIps
        .filter(({ tags }) => tags['vcn-cni/node'] !== undefined)
        .map(({ cidr }) => cidr.address as string)
    await expect.poll(() => inCloud().length, patience).toBeLessThan(5)
    await settled(cloud, npn)
    await sleep(300)
    await agent[Symbol.asyncDispose]()
    let wrong: readonly string[] = []
    const watching = (async () => {
      for (let at = 0; at < 200; at++) {
        const { vnics, elastic } = await cloud.status(npn)
        const published = vnics.flatMap(({ addresses }): readonly string[] => addresses)
        const leaving = new Set<string>((elastic?.releases ?? []).map(({ address }) => address))
        // Those on their way back are given to no pod any more.
        const gone = published.filter((one) => !inCloud().includes(one) && !leaving.has(one))
        if (gone.length > wrong.length) wrong = gone
        await sleep(5)
      }
    })()
    gate.holds = false
    gate.open.resolve(undefined)
    await watching
    expect(wrong).toEqual([])
  },
)

test('two controllers at once during growth and shrink', { timeout: 60_000 }, async () => {
  await using cloud = await ControlledCloud.start({ elastic: { preferBlocks: false } })
  const { npn } = await cloud.addNode({ name: 'worker-1' })
  await using agent = new SimulatedAgent(cloud.client, npn)
  const first = await cloud.startController()
  await cloud.startController()
  for (const pods of [20, 2, 30, 1, 15, 3]) {
    agent.pods = pods
    await sleep(700)
  }
  const before = [...cloud.oci.counts.values()].reduce((sum, { calls }) => sum + calls, 0)
  await sleep(3000)
  const after = [...cloud.oci.counts.values()].reduce((sum, { calls }) => sum + calls, 0)
  const rv1 = Number((await cloud.npn(npn)).metadata.resourceVersion)
  await sleep(1000)
  const rv2 = Number((await cloud.npn(npn)).metadata.resourceVersion)
  expect(after - before).toBeLessThan(20)
  expect(rv2 - rv1).toBeLessThan(5)
  await first.stop()
  await sleep(2000)
  expect(await disagreements(cloud)).toEqual([])
  expect(podVnicCounts(cloud.model)).toEqual([1])
  expect(agent.violations).toEqual([])
})
