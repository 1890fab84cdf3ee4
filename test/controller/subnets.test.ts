import { describe, expect, test } from 'vitest'
import { parseIpv4Cidr } from '../../src/base/cidr.ts'
import { parseIpv4 } from '../../src/base/ip.ts'
import { unwrap } from '../../src/base/result.ts'
import { deletePrivateIp } from '../../src/lab/oci-api/private-ips.ts'
import { detachVnic } from '../../src/lab/oci-api/vnic-attachments.ts'
import { podVnicCounts } from './cloud-comparison.ts'
import { disagreements } from './cloud-observations.ts'
import { ControlledCloud } from './controlled-cloud.ts'
import { SimulatedAgent } from './simulated-agent.ts'

const patience = { timeout: 20_000, interval: 20 }

/** Takes every other address, so that no block is left whole. */
function fragment(cloud: ControlledCloud, from: number, to: number): void {
  const [subnet] = cloud.podSubnets
  for (let last = from; last < to; last += 2) {
    if (subnet !== undefined)
      cloud.model.space(subnet.id).take({ address: unwrap(parseIpv4(`10.0.4.${last}`)), prefixLength: 32 })
  }
}

async function addressesOf(cloud: ControlledCloud, npn: string): Promise<readonly string[]> {
  return (await cloud.status(npn)).vnics.flatMap(({ addresses }) => addresses)
}

describe('all subnets of a node are used', () => {
  test('a fragmented one gives single addresses', { timeout: 40_000 }, async () => {
    await using cloud = await ControlledCloud.start({ podSubnets: ['10.0.4.0/24'] })
    fragment(cloud, 2, 254)
    const { npn } = await cloud.addNode({ name: 'worker-1' })
    await cloud.startController()
    await expect.poll(async () => (await cloud.status(npn)).state, patience).toBe('SUCCESS')
    expect(await addressesOf(cloud, npn)).toHaveLength(4)
    expect(await disagreements(cloud)).toEqual([])
  })

  test('when one is full the next one gives another VNIC', { timeout: 40_000 }, async () => {
    // Room for the VNIC itself and four addresses more.
    await using cloud = await ControlledCloud.start({ podSubnets: ['10.0.4.0/29', '10.0.5.0/24'] })
    const { npn } = await cloud.addNode({ name: 'worker-1' })
    await using agent = new SimulatedAgent(cloud.client, npn)
    await cloud.startController()
    agent.pods = 20
    await expect.poll(() => agent.held.size, patience).toBe(20)
    expect(podVnicCounts(cloud.model)).toEqual([2])
    const inFirst = (await addressesOf(cloud, npn)).filter((address) => address.startsWith('10.0.4.'))
    expect(inFirst).toHaveLength(4)
    await expect.poll(() => disagreements(cloud), patience).toEqual([])
    expect(agent.violations).toEqual([])
  })

  test('when all are full the node says so, and goes on when there is room again', { timeout: 40_000 }, async () => {
    await using cloud = await ControlledCloud.start({ podSubnets: ['10.0.4.0/29'] })
    const [subnet] = cloud.podSubnets
    const block = unwrap(parseIpv4Cidr('10.0.4.4/30'))
    cloud.model.space(subnet?.id ?? ('' as never)).take({ ...block, prefixLength: 31 })
    const { npn } = await cloud.addNode({ name: 'worker-1' })
    await cloud.startController()
    const full = async (): Promise<string | undefined> =>
      (await cloud.status(npn)).conditions.find(({ type }) => type === 'AddressesAssigned')?.reason
    await expect.poll(full, patience).toBe('SubnetsFull')
    expect((await cloud.status(npn)).state).toBe('BACKOFF')
    cloud.model.space(subnet?.id ?? ('' as never)).release({ ...block, prefixLength: 31 })
    await expect.poll(async () => (await cloud.status(npn)).state, patience).toBe('SUCCESS')
    expect(await addressesOf(cloud, npn)).toHaveLength(4)
  })

  test(
    'a VNIC that is full is followed by another one, with its addresses in a region of its own',
    { timeout: 40_000 },
    async () => {
      await using cloud = await ControlledCloud.start({
        settings: { addressesPerVnic: 8 },
        elastic: { preferBlocks: false },
        podSubnets: ['10.0.4.0/23'],
      })
      const { npn } = await cloud.addNode({ name: 'worker-1' })
      await using agent = new SimulatedAgent(cloud.client, npn)
      await cloud.startController()
      agent.pods = 12
      await expect.poll(() => agent.held.size, patience).toBe(12)
      expect(podVnicCounts(cloud.model)).toEqual([2])
      const regions = (await cloud.status(npn)).vnics.map(
        ({ addresses }) =>
          new Set(addresses.map((address) => [address.split('.')[2], Number(address.split('.')[3]) >> 6].join())),
      )
      expect(regions.map(({ size }) => size)).toEqual([1, 1])
      expect(regions[0]).not.toEqual(regions[1])
      await expect.poll(() => disagreements(cloud), patience).toEqual([])
    },
  )
})

describe('drift is repaired after SUCCESS', () => {
  const config = { resyncSeconds: 1 }

  test('an address that somebody deleted', { timeout: 40_000 }, async () => {
    await using cloud = await ControlledCloud.start({ config, elastic: { preferBlocks: false } })
    const { npn } = await cloud.addNode({ name: 'worker-1' })
    await cloud.startController()
    await expect.poll(async () => (await cloud.status(npn)).state, patience).toBe('SUCCESS')
    const gone = cloud.model.privateIps.all().find(({ tags }) => tags['vcn-cni/node'] !== undefined)
    if (gone !== undefined) await deletePrivateIp(cloud.model, gone)
    await expect.poll(() => disagreements(cloud), patience).toEqual([])
    await expect.poll(() => addressesOf(cloud, npn), patience).toHaveLength(4)
  })

  test('a VNIC that somebody detached', { timeout: 40_000 }, async () => {
    await using cloud = await ControlledCloud.start({ config })
    const { npn } = await cloud.addNode({ name: 'worker-1' })
    await cloud.startController()
    await expect.poll(async () => (await cloud.status(npn)).state, patience).toBe('SUCCESS')
    const [before] = (await cloud.status(npn)).vnics
    const attachment = cloud.model.attachments.all().find(({ vnicId }) => vnicId === before?.vnicId)
    if (attachment !== undefined) detachVnic(cloud.model, attachment)
    const vnicIds = async (): Promise<readonly string[]> => (await cloud.status(npn)).vnics.map(({ vnicId }) => vnicId)
    await expect.poll(vnicIds, patience).not.toContain(before?.vnicId)
    await expect.poll(async () => (await addressesOf(cloud, npn)).length, patience).toBeGreaterThan(0)
    await expect.poll(() => disagreements(cloud), patience).toEqual([])
  })

  test(
    'a VNIC that somebody took out of its security group, and whose source check was switched on',
    { timeout: 40_000 },
    async () => {
      await using cloud = await ControlledCloud.start({ config })
      const { npn } = await cloud.addNode({ name: 'worker-1' })
      await cloud.startController()
      await expect.poll(async () => (await cloud.status(npn)).state, patience).toBe('SUCCESS')
      const vnic = cloud.model.vnics.all().find(({ isPrimary }) => !isPrimary)
      expect(vnic).toMatchObject({ nsgIds: [cloud.nsg.id], skipSourceDestCheck: true })
      if (vnic !== undefined) cloud.model.vnics.update(vnic.id, { nsgIds: [], skipSourceDestCheck: false })
      const now = () => cloud.model.vnics.all().find(({ isPrimary }) => !isPrimary)
      await expect.poll(now, patience).toMatchObject({ nsgIds: [cloud.nsg.id], skipSourceDestCheck: true })
    },
  )
})
