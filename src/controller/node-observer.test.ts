import { describe, expect, test } from 'vitest'
import { ok, unwrap } from '../base/result.ts'
import { FakeScheduler } from '../kube/fake-scheduler.fixture.ts'
import { connect, serve, testCloud } from '../lab/oci-api/cloud.fixture.ts'
import { terminateInstance } from '../lab/oci-api/instances.ts'
import { CallCounters } from '../oci/call-counters.ts'
import type { CoreServices, PrivateIp } from '../oci/core-services.ts'
import { limitCoreServices } from '../oci/limited-core-services.ts'
import { RateLimiter } from '../oci/rate-limit.ts'
import { systemSleep } from '../oci/sleep.ts'
import { AttachmentLister } from './attachment-lister.ts'
import { CloudLookups } from './cloud-lookups.ts'
import { NodeObserver } from './node-observer.ts'
import type { NodeObservation } from './observation.ts'
import { ownerTags } from './ownership.ts'

const never = new AbortController().signal
const resyncMs = 1000
const settleMs = 60_000

// One node in an emulated cloud, and what a look at it costs.
async function watched() {
  await using stack = new AsyncDisposableStack()
  const cloud = testCloud()
  const server = stack.use(await serve(cloud))
  const clock = new FakeScheduler()
  const counters = new CallCounters()
  const shared = { clock, sleep: systemSleep, random: Math.random }
  const limiter = new RateLimiter({ ...shared, settings: { perSecond: 1000, burst: 1000, leastPerSecond: 5 } })
  const retry = { budgetMs: 100, firstPauseMs: 1, longestPauseMs: 1 }
  const services = limitCoreServices(await connect(server), { ...shared, limiter, counters, retry })
  const observer = new NodeObserver(cloud.instance.id, {
    cluster: 'test',
    services,
    lookups: new CloudLookups(services, clock),
    instances: { find: (id, signal) => services.getInstance(id, signal) },
    attachments: new AttachmentLister(services, () => Promise.resolve()),
    clock,
    resyncMs,
  })
  await cloud.scheduler.advance(settleMs)
  const disposal = stack.move()
  const calls = (): Readonly<Record<string, number>> =>
    Object.fromEntries([...counters.all()].map(([operation, counts]) => [operation, counts.calls]))
  // Calls of one look, by operation.
  const costOf = async (): Promise<Readonly<Record<string, number>>> => {
    const before = calls()
    unwrap(await observer.observe(never))
    const spent = Object.entries(calls()).map(
      ([operation, count]) => [operation, count - (before[operation] ?? 0)] as const,
    )
    return Object.fromEntries(spent.filter(([, count]) => count > 0))
  }
  const observe = async (): Promise<NodeObservation> => unwrap(await observer.observe(never))
  return { ...cloud, clock, services, observer, observe, costOf, [Symbol.asyncDispose]: () => disposal.disposeAsync() }
}

type Watched = Awaited<ReturnType<typeof watched>>

async function attach({ services, instance, subnet, nsg, scheduler }: Watched, cluster = 'test') {
  const wish = { instanceId: instance.id, subnetId: subnet.id, nsgIds: [nsg.id], displayName: cluster }
  const tags = ownerTags(cluster, instance.id)
  const attachment = unwrap(await services.attachVnic({ ...wish, skipSourceDestCheck: true, tags }, cluster, never))
  await scheduler.advance(settleMs)
  return attachment
}

async function createAddress(services: CoreServices, { instance, vnics: [one] }: NodeObservation): Promise<PrivateIp> {
  if (one === undefined) throw new Error('no VNIC')
  return unwrap(
    await services.createPrivateIp({ vnicId: one.vnic.id, tags: ownerTags('test', instance.id) }, 'token', never),
  )
}

describe('what is seen', () => {
  test('a new node has its primary VNIC’s attachment, no VNIC of ours, and its limit', async () => {
    await using node = await watched()
    const { vnics, attachments, vnicLimit, instance } = await node.observe()
    expect({ vnics, attachments: attachments.length, vnicLimit, id: instance.id }).toEqual({
      vnics: [],
      attachments: 1,
      vnicLimit: 4,
      id: node.instance.id,
    })
  })

  test('a VNIC of ours, with its secondary addresses alone', async () => {
    await using node = await watched()
    await attach(node)
    const before = await node.observe()
    const made = await createAddress(node.services, before)
    node.observer.doubt()
    const { vnics } = await node.observe()
    expect(
      vnics.map(({ vnic, subnet, objects }) => [vnic.displayName, subnet.id, objects.map(({ id }) => id)]),
    ).toEqual([['test', node.subnet.id, [made.id]]])
  })

  test('a VNIC of another cluster is none of ours, and counts all the same', async () => {
    await using node = await watched()
    await attach(node, 'other')
    const { vnics, attachments } = await node.observe()
    expect([vnics.length, attachments.length]).toEqual([0, 2])
  })

  test('a detached VNIC is gone, and its attachment’s id is remembered', async () => {
    await using node = await watched()
    const { id } = await attach(node)
    unwrap(await node.services.detachVnic(id, never))
    await node.scheduler.advance(settleMs)
    const { vnics, attachments, attachmentIds } = await node.observe()
    expect([vnics.length, attachments.length, attachmentIds.includes(id)]).toEqual([0, 1, true])
  })
})

describe('what a look costs', () => {
  const full = { GetInstance: 1, ListVnicAttachments: 1, GetVnic: 1, ListPrivateIps: 1 }
  test('the first one asks for everything, the next ones for nothing', async () => {
    await using node = await watched()
    await attach(node)
    expect(await node.costOf()).toMatchObject({
      GetInstance: 1,
      ListVnicAttachments: 1,
      ListPrivateIps: 1,
      GetSubnet: 1,
    })
    expect(await node.costOf()).toEqual({})
  })

  test('when it is old or doubted, everything but what all nodes share, and what is not ours', async () => {
    await using node = await watched()
    await attach(node)
    await node.observe()
    await node.clock.advance(resyncMs)
    expect(await node.costOf()).toEqual(full)
    node.observer.doubt()
    expect(await node.costOf()).toEqual(full)
    expect(await node.costOf()).toEqual({})
  })

  test('while a VNIC is attached only the attachments, and then the new VNIC, which has no addresses yet', async () => {
    await using node = await watched()
    await node.observe()
    const { instance, subnet, services } = node
    const wish = {
      instanceId: instance.id,
      subnetId: subnet.id,
      nsgIds: [],
      displayName: 'x',
      skipSourceDestCheck: true,
    }
    const attached = await services.attachVnic({ ...wish, tags: ownerTags('test', instance.id) }, 'token', never)
    node.observer.learn((known) => ({ ...known, attachments: [...known.attachments, unwrap(attached)] }))
    expect(await node.costOf()).toEqual({ ListVnicAttachments: 1 })
    await node.scheduler.advance(settleMs)
    expect(await node.costOf()).toEqual({ ListVnicAttachments: 1, GetVnic: 1, GetSubnet: 1 })
    expect(await node.costOf()).toEqual({})
  })

  test('an instance that was asked for already is not asked for again, once', async () => {
    await using node = await watched()
    expect((await node.observer.instance(never)).ok).toBe(true)
    expect(await node.costOf()).not.toHaveProperty('GetInstance')
    node.observer.doubt()
    expect(await node.costOf()).toHaveProperty('GetInstance', 1)
  })
})

test('what its holder did is seen without a look, until the cloud says otherwise', async () => {
  await using node = await watched()
  await attach(node)
  await node.observe()
  node.observer.learn((known) => ({ ...known, vnics: [] }))
  expect((await node.observe()).vnics).toEqual([])
  node.observer.doubt()
  expect((await node.observe()).vnics).toHaveLength(1)
})

test('an instance that ends is looked at until it has ended', async () => {
  await using node = await watched()
  await node.observe()
  terminateInstance(node.model, node.instance.id)
  node.observer.doubt()
  expect((await node.observe()).instance.lifecycleState).toBe('TERMINATING')
  await node.scheduler.advance(settleMs)
  expect((await node.observe()).instance.lifecycleState).toBe('TERMINATED')
})

test('a failure names what was asked for, and the next look begins anew', async () => {
  await using node = await watched()
  const { services } = node
  const error = { kind: 'server', operation: 'ListPrivateIps', code: '500', message: 'x' } as const
  const refusing: CoreServices = { ...services, listPrivateIps: () => Promise.resolve({ ok: false, error }) }
  const answers = [refusing, services].map((of) => {
    const lookups = new CloudLookups(services, node.clock)
    const attachments = new AttachmentLister(services, () => Promise.resolve())
    return new NodeObserver(node.instance.id, {
      cluster: 'test',
      services: of,
      lookups,
      instances: { find: (id, signal) => services.getInstance(id, signal) },
      attachments,
      clock: node.clock,
      resyncMs,
    })
  })
  await attach(node)
  const [failed, good] = await Promise.all(answers.map((observer) => observer.observe(never)))
  expect(failed).toEqual({ ok: false, error: { during: 'ListPrivateIps', error } })
  expect(good).toMatchObject(ok({ vnics: [{ objects: [] }] }))
})
