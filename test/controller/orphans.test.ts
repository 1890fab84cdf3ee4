import { expect, test } from 'vitest'
import { unwrap } from '../../src/base/result.ts'
import { nativePodNetworks, nodes } from '../../src/kube/resources.ts'
import { attachVnic, type AttachDetails } from '../../src/lab/oci-api/vnic-attachments.ts'
import { terminateInstance } from '../../src/lab/oci-api/instances.ts'
import { podVnicCounts } from './cloud-comparison.ts'
import { ControlledCloud } from './controlled-cloud.ts'

const patience = { timeout: 20_000, interval: 20 }
const soon = (): AbortSignal => AbortSignal.timeout(5000)
const orphans = { sweepSeconds: 1, graceSeconds: 1 }

test(
  'VNICs of a node that is gone from Kubernetes are detached after the time of grace, others stay',
  { timeout: 40_000 },
  async () => {
    await using cloud = await ControlledCloud.start({ config: { orphans } })
    const gone = await cloud.addNode({ name: 'gone' })
    const stays = await cloud.addNode({ name: 'stays' })
    const stranger = cloud.launch({ name: 'stranger' })
    const foreign: AttachDetails = {
      instanceId: stranger.id,
      displayName: 'vcn-cni-1',
      nicIndex: 0,
      vnic: {
        subnetId: cloud.podSubnets[0]?.id ?? '',
        displayName: 'vcn-cni-1',
        nsgIds: [],
        skipSourceDestCheck: true,
        tags: { 'vcn-cni/cluster': 'other' },
      },
    }
    unwrap(attachVnic(cloud.model, foreign))
    const { controller } = await cloud.startController()
    for (const { npn } of [gone, stays]) {
      await expect.poll(async () => (await cloud.status(npn)).state, patience).toBe('SUCCESS')
    }
    unwrap(await cloud.client.delete(nodes, { name: 'gone' }, {}, soon()))
    await expect
      .poll(() => controller.health().orphans.map(({ attachment }) => attachment.instanceId), patience)
      .toEqual([gone.instance.id])
    const instancesWithVnics = (): readonly string[] =>
      cloud.model.vnics.filter(({ isPrimary }) => !isPrimary).map(({ instanceId }) => instanceId)
    await expect.poll(instancesWithVnics, patience).not.toContain(gone.instance.id)
    expect(instancesWithVnics().toSorted()).toEqual([stays.instance.id, stranger.id].toSorted())
  },
)

test(
  'a node that registers anew within the time of grace finds its VNIC and its addresses',
  { timeout: 40_000 },
  async () => {
    await using cloud = await ControlledCloud.start({ config: { orphans: { sweepSeconds: 1, graceSeconds: 600 } } })
    const { npn, instance } = await cloud.addNode({ name: 'worker-1' })
    const { controller } = await cloud.startController()
    await expect.poll(async () => (await cloud.status(npn)).state, patience).toBe('SUCCESS')
    const { vnics } = await cloud.status(npn)
    unwrap(await cloud.client.delete(nodes, { name: 'worker-1' }, {}, soon()))
    await expect.poll(() => controller.health().orphans.length, patience).toBe(1)
    const manifest = { metadata: { name: 'worker-1' }, spec: { providerID: instance.id } }
    unwrap(await cloud.client.create(nodes, manifest, soon()))
    await expect.poll(async () => (await cloud.status(npn)).vnics, patience).toEqual(vnics)
    expect(podVnicCounts(cloud.model)).toEqual([1])
  },
)

test('the resource of a terminated instance is removed, its node present or not', { timeout: 40_000 }, async () => {
  await using cloud = await ControlledCloud.start({ config: { resyncSeconds: 1 } })
  const { npn, instance } = await cloud.addNode({ name: 'worker-1' })
  await cloud.startController()
  await expect.poll(async () => (await cloud.status(npn)).state, patience).toBe('SUCCESS')
  terminateInstance(cloud.model, instance.id)
  const names = async (): Promise<readonly string[]> =>
    unwrap(await cloud.client.list(nativePodNetworks, {}, soon())).items.map(({ metadata }) => metadata.name)
  await expect.poll(names, patience).toEqual([])
  expect(podVnicCounts(cloud.model)).toEqual([])
})
