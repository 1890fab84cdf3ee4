// The client is Oracle's own SDK: what it accepts is what the emulator has to speak.
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { parseIpv4Cidr } from '../../base/cidr.ts'
import { unwrap } from '../../base/result.ts'
import { availabilityDomain, flexShape } from './cloud.fixture.ts'
import { launchInstance, terminateInstance } from './instances.ts'
import { attach, create, setUp } from './sdk-clients.fixture.ts'

// The SDK prints every failure.
beforeAll(() => void vi.spyOn(console, 'warn').mockReturnValue())
afterAll(() => void vi.restoreAllMocks())

describe('it refuses', () => {
  test('what the API does not have', async () => {
    const { server } = await setUp()
    await using _server = server
    const nowhere = await fetch(`${server.endpoint}/20160918/nowhere`)
    expect([nowhere.status, await nowhere.json()]).toEqual([404, expect.objectContaining({ code: 'NotFound' })])
    const wrongMethod = await fetch(`${server.endpoint}/20160918/instances`, { method: 'DELETE' })
    expect([wrongMethod.status, await wrongMethod.json()]).toEqual([
      405,
      expect.objectContaining({ code: 'MethodNotAllowed' }),
    ])
  })

  test('an unsigned request', async () => {
    const { server, instance } = await setUp()
    await using _server = server
    const response = await fetch(`${server.endpoint}/20160918/instances/${instance.id}`)
    expect([response.status, await response.json()]).toEqual([
      401,
      expect.objectContaining({ code: 'NotAuthenticated' }),
    ])
  })

  test('the call beyond the quota of its operation, and of no other', async () => {
    const quotaOf = (operation: string) => (operation === 'GetVcn' ? { perSecond: 1, burst: 2 } : undefined)
    const { server, network, vcn, subnet, scheduler } = await setUp({}, { quotaOf })
    await using _server = server
    for (let call = 0; call < 2; call++) await network.getVcn({ vcnId: vcn.id })
    await expect(network.getVcn({ vcnId: vcn.id })).rejects.toMatchObject({
      statusCode: 429,
      serviceCode: 'TooManyRequests',
    })
    await network.getSubnet({ subnetId: subnet.id })
    await scheduler.advance(1000)
    await network.getVcn({ vcnId: vcn.id })
    expect(server.counts.get('GetVcn')).toEqual({
      calls: 4,
      byStatus: new Map([
        [200, 3],
        [429, 1],
      ]),
    })
  })
})

describe('it answers', () => {
  test('a list in pages, without one twice', async () => {
    const setup = await setUp()
    await using _server = setup.server
    const { vnicId = '' } = await attach(setup)
    for (let count = 0; count < 6; count++) await create(setup, { vnicId })
    const pages: number[] = []
    const ids = new Set<string>()
    let page: string | undefined
    do {
      const answer = await setup.network.listPrivateIps({ vnicId, limit: 3, ...(page !== undefined && { page }) })
      pages.push(answer.items.length)
      for (const { id = '' } of answer.items) ids.add(id)
      page = answer.opcNextPage
      expect(answer.opcRequestId).toMatch(/./)
    } while (page)
    expect([pages, ids.size]).toEqual([[3, 3, 1], 7])
  })

  test('the same address for the same retry token', async () => {
    const setup = await setUp()
    await using _server = setup.server
    const { vnicId = '' } = await attach(setup)
    const [one, two] = await Promise.all([create(setup, { vnicId }, 'token'), create(setup, { vnicId }, 'token')])
    expect(one.privateIp).toEqual(two.privateIp)
    expect((await create(setup, { vnicId }, 'other')).privateIp.id).not.toBe(one.privateIp.id)
  })

  test('a failed attach as DETACHING and then DETACHED, its address free again', async () => {
    const setup = await setUp({ settings: { failsAttach: () => true } })
    await using _server = setup.server
    const attachment = await attach(setup, { privateIp: '10.0.4.9' })
    expect(attachment.lifecycleState).toBe('DETACHING')
    await setup.scheduler.advance(2000)
    const { vnicAttachment } = await setup.compute.getVnicAttachment({ vnicAttachmentId: attachment.id })
    expect(vnicAttachment.lifecycleState).toBe('DETACHED')
    expect(setup.model.space(setup.subnet.id).placement(unwrap(parseIpv4Cidr('10.0.4.9/32')))).toBe('free')
  })

  test('a subnet that updates for its first block, once', async () => {
    const setup = await setUp()
    await using _server = setup.server
    const { vnicId = '' } = await attach(setup)
    await create(setup, { vnicId, cidrPrefixLength: 28 })
    await setup.scheduler.advance(5000)
    const { privateIp } = await create(setup, { vnicId, cidrPrefixLength: 28 })
    expect(privateIp.cidrPrefixLength).toBe(28)
    await create(setup, { vnicId })
  })

  test('an address moved to another VNIC of the subnet', async () => {
    const setup = await setUp()
    await using _server = setup.server
    const [from, to] = [await attach(setup), await attach(setup)]
    const { privateIp } = await create(setup, { vnicId: from.vnicId ?? '' })
    const updatePrivateIpDetails = { vnicId: to.vnicId ?? '' }
    await setup.network.updatePrivateIp({ privateIpId: privateIp.id ?? '', updatePrivateIpDetails })
    const { items } = await setup.network.listPrivateIps({ vnicId: to.vnicId ?? '' })
    expect(items.map(({ id }) => id)).toContain(privateIp.id)
  })

  test("nothing of a terminated instance's VNICs", async () => {
    const setup = await setUp()
    await using _server = setup.server
    const { vnicId = '' } = await attach(setup)
    await create(setup, { vnicId })
    terminateInstance(setup.model, setup.instance.id)
    await setup.scheduler.advance(3000)
    const { instance } = await setup.compute.getInstance({ instanceId: setup.instance.id })
    expect(instance.lifecycleState).toBe('TERMINATED')
    await expect(setup.network.getVnic({ vnicId })).rejects.toMatchObject({ statusCode: 404 })
    expect([setup.model.vnics.all(), setup.model.privateIps.all()]).toEqual([[], []])
  })

  test('only what its filters let through', async () => {
    const setup = await setUp()
    await using _server = setup.server
    const { instance, model } = setup
    const subnetId = model.subnets.all()[0]?.id ?? setup.subnet.id
    const { compartmentId } = instance
    launchInstance(model, {
      compartmentId,
      displayName: 'w2',
      availabilityDomain,
      shape: flexShape,
      ocpus: 2,
      subnetId,
    })
    const { items } = await setup.compute.listInstances({ compartmentId, displayName: 'w2' })
    expect(items.map(({ displayName }) => displayName)).toEqual(['w2'])
    const { items: elsewhere } = await setup.compute.listInstances({ compartmentId, availabilityDomain: 'AD-9' })
    expect(elsewhere).toEqual([])
  })
})
