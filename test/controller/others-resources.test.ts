import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { unwrap } from '../../src/base/result.ts'
import { nativePodNetworks, nodes } from '../../src/kube/resources.ts'
import { FaultPlan } from '../../src/lab/oci-api/faults.ts'
import { createPrivateIp } from '../../src/lab/oci-api/private-ips.ts'
import { attachVnic } from '../../src/lab/oci-api/vnic-attachments.ts'
import { podVnicCounts } from './cloud-comparison.ts'
import { settled, soon } from './cloud-observations.ts'
import { ControlledCloud } from './controlled-cloud.ts'
import { SimulatedAgent } from './simulated-agent.ts'

test(
  'a private IP that a human put on a VNIC of ours is neither published nor deleted',
  { timeout: 40_000 },
  async () => {
    await using cloud = await ControlledCloud.start({ elastic: { preferBlocks: false }, config: { resyncSeconds: 1 } })
    const { npn } = await cloud.addNode({ name: 'worker-1' })
    await using _agent = new SimulatedAgent(cloud.client, npn)
    await cloud.startController()
    await settled(cloud, npn)
    const vnic = cloud.model.vnics.all().find(({ isPrimary }) => !isPrimary)
    const floating = unwrap(
      await createPrivateIp(cloud.model, { vnicId: vnic?.id ?? '', displayName: 'keepalived', tags: {} }),
    )
    await sleep(3000)
    const published = (await cloud.status(npn)).vnics.flatMap(({ addresses }) => addresses as readonly string[])
    expect.soft(published).not.toContain(floating.cidr.address)
    expect(cloud.model.privateIps.get(floating.id)).toBeDefined()
  },
)

test('VNICs are not detached while a Node has not been given its providerID', { timeout: 40_000 }, async () => {
  await using cloud = await ControlledCloud.start({ config: { orphans: { sweepSeconds: 1, graceSeconds: 1 } } })
  const { npn } = await cloud.addNode({ name: 'worker-1' })
  await cloud.startController()
  await settled(cloud, npn)
  unwrap(await cloud.client.delete(nodes, { name: 'worker-1' }, {}, soon()))
  unwrap(await cloud.client.create(nodes, { metadata: { name: 'worker-1' }, spec: {} }, soon()))
  await cloud.addPods('worker-1', 3)
  await sleep(5000)
  expect(podVnicCounts(cloud.model)).toEqual([1])
})

test(
  'a VNIC of somebody else that the controller may not look at does not hold up its node',
  { timeout: 60_000 },
  async () => {
    await using cloud = await ControlledCloud.start()
    const { npn, instance } = await cloud.addNode({ name: 'worker-1' })
    const vnic = {
      subnetId: cloud.podSubnets[0]?.id ?? '',
      displayName: 'theirs',
      nsgIds: [],
      skipSourceDestCheck: true,
      tags: {},
    }
    const theirs = unwrap(
      attachVnic(cloud.model, { instanceId: instance.id, displayName: 'theirs', nicIndex: 0, vnic }),
    )
    await sleep(200)
    // In a compartment that our policy does not reach: 404.
    cloud.model.vnics.remove(theirs.vnicId)
    await cloud.startController()
    await sleep(4000)
    const { state, conditions } = await cloud.status(npn)
    expect([state, ...conditions.map(({ message }) => message)]).toContain('SUCCESS')
  },
)

test('a wish for IPv6 is not met with plain SUCCESS', { timeout: 60_000 }, async () => {
  await using cloud = await ControlledCloud.start()
  const { npn, instance } = await cloud.addNode({ name: 'worker-1', registers: false })
  const spec = { id: instance.id, podSubnetIds: [cloud.podSubnets[0]?.id ?? ''], ipFamilies: ['IPv6'] }
  unwrap(await cloud.client.create(nativePodNetworks, { metadata: { name: npn }, spec }, soon()))
  await cloud.startController()
  await expect.poll(async () => (await cloud.status(npn)).state, { timeout: 15_000 }).toBe('SUCCESS')
  const { conditions } = await cloud.status(npn)
  expect(conditions.map(({ message }) => message).join()).toMatch(/IPv6/)
})

test(
  'a shape with one VNIC for pods is not spent on a subnet that has room for the VNIC alone',
  { timeout: 40_000 },
  async () => {
    // Five usable addresses: a neighbour's VNIC and its three leave one.
    await using cloud = await ControlledCloud.start({ podSubnets: ['10.0.4.0/29', '10.0.5.0/24'] })
    const neighbour = cloud.launch({ name: 'neighbour' })
    const subnetId = cloud.podSubnets[0]?.id ?? ''
    const vnic = { subnetId, displayName: 'theirs', nsgIds: [], skipSourceDestCheck: true, tags: {} }
    const details = { instanceId: neighbour.id, displayName: 'theirs', nicIndex: 0, vnic }
    const { vnicId } = unwrap(attachVnic(cloud.model, details))
    await sleep(200)
    for (const displayName of ['a', 'b', 'c'])
      unwrap(await createPrivateIp(cloud.model, { vnicId, displayName, tags: {} }))
    const { npn } = await cloud.addNode({ name: 'worker-1', ocpus: 1 })
    await cloud.startController()
    await sleep(6000)
    const { state } = await cloud.status(npn)
    expect(state).toBe('SUCCESS')
  },
)

test(
  'a resource that waits for its node is not deleted because the instance does not show yet',
  { timeout: 40_000 },
  async () => {
    const plan = new FaultPlan(
      [
        {
          operation: 'GetInstance',
          when: { kind: 'calls', calls: [1, 2] },
          fault: { kind: 'status', status: 404, code: 'NotAuthorizedOrNotFound' },
        },
      ],
      1,
    )
    await using cloud = await ControlledCloud.start({ api: { faults: plan } })
    const { npn, instance } = await cloud.addNode({ name: 'worker-1', registers: false })
    const spec = { id: instance.id, podSubnetIds: [cloud.podSubnets[0]?.id ?? ''], maxPodCount: 31 }
    unwrap(await cloud.client.create(nativePodNetworks, { metadata: { name: npn }, spec }, soon()))
    await cloud.startController()
    await sleep(4000)
    expect((await cloud.client.get(nativePodNetworks, { name: npn }, soon())).ok).toBe(true)
  },
)
