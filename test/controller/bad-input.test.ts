import { describe, expect, test } from 'vitest'
import { parseIpv4Cidr } from '../../src/base/cidr.ts'
import { unwrap } from '../../src/base/result.ts'
import type { JsonObject } from '../../src/kube/object.ts'
import { customResourceDefinitions, nativePodNetworks } from '../../src/kube/resources.ts'
import { setInstanceState } from '../../src/lab/oci-api/instances.ts'
import { testKey } from '../../src/lab/oci-api/cloud.fixture.ts'
import { eventsAbout, patience, soon } from './cloud-observations.ts'
import { type CloudOptions, ControlledCloud, readCrd } from './controlled-cloud.ts'

async function condition(cloud: ControlledCloud, npn: string, type: string): Promise<string> {
  const found = (await cloud.status(npn)).conditions.find((one) => one.type === type)
  return found === undefined ? 'none' : `${found.status} ${found.reason}: ${found.message}`
}

async function makeNpn(cloud: ControlledCloud, name: string, spec: JsonObject): Promise<void> {
  unwrap(await cloud.client.create(nativePodNetworks, { metadata: { name }, spec }, soon()))
}

interface Case {
  readonly what: string
  readonly ocpus?: number
  readonly spec?: (cloud: ControlledCloud) => JsonObject
  readonly condition: string
  readonly says: RegExp
  readonly state: 'BACKOFF' | 'SUCCESS'
  readonly reason: string
}

const cases: readonly Case[] = [
  {
    what: 'an unknown subnet',
    spec: () => ({ podSubnetIds: ['ocid1.subnet.oc1.lab.unknown'] }),
    condition: 'VnicsAttached',
    says: /^False NotFoundOrNotAuthorized: GetSubnet: 404 .*check the OCIDs in spec/,
    state: 'BACKOFF',
    reason: 'FailedToAttachVNIC',
  },
  {
    what: 'something that is no subnet',
    spec: () => ({ podSubnetIds: ['my-subnet'] }),
    condition: 'Accepted',
    says: /^False InvalidSpec: spec.podSubnetIds\[0\]: "my-subnet" is not an OCID; expected a subnet/,
    state: 'BACKOFF',
    reason: 'FailedToGetCR',
  },
  {
    what: 'a shape with one VNIC',
    ocpus: 0,
    spec: (cloud) => ({ podSubnetIds: [cloud.podSubnets[0]?.id ?? ''] }),
    condition: 'VnicsAttached',
    says: /^False ShapeAllowsOneVnic: shape VM.Standard.One takes one VNIC, .*use a shape with two or more/,
    state: 'BACKOFF',
    reason: 'FailedToAttachVNIC',
  },
  {
    what: 'more pods than the shape has addresses for',
    ocpus: 2,
    spec: (cloud) => ({
      podSubnetIds: [cloud.podSubnets[0]?.id ?? ''],
      maxPodCount: 110,
      elastic: { preferBlocks: false },
    }),
    condition: 'Accepted',
    says: /^False MaxPodCountBeyondShape: maxPodCount is 110, but shape VM.Standard.E5.Flex has room for 64 addresses/,
    state: 'SUCCESS',
    reason: 'COMPLETED',
  },
  {
    what: 'a network security group of another VCN',
    spec: (cloud) => {
      const { compartmentId } = cloud.vcn
      const other = cloud.model.addVcn({
        compartmentId,
        displayName: 'other',
        cidrs: [unwrap(parseIpv4Cidr('172.16.0.0/16'))],
      })
      const nsg = cloud.model.addNsg({ vcnId: other.id, displayName: 'foreign' })
      return { podSubnetIds: [cloud.podSubnets[0]?.id ?? ''], networkSecurityGroupIds: [nsg.id] }
    },
    condition: 'VnicsAttached',
    says: /^False NsgInOtherVcn: network security group ocid1\S+ is in VCN ocid1\S+, subnet .*; name groups of the subnet’s own VCN/,
    state: 'BACKOFF',
    reason: 'FailedToAttachVNIC',
  },
]

describe('what is wrong with one node is told with its remedy, and is no other node’s problem', () => {
  test.each(cases)('$what', { timeout: 40_000 }, async ({ ocpus = 4, spec, condition: type, says, state, reason }) => {
    await using cloud = await ControlledCloud.start()
    const bad = await cloud.addNode({ name: 'bad', ocpus, registers: false })
    const good = await cloud.addNode({ name: 'good' })
    await makeNpn(cloud, bad.npn, { id: bad.instance.id, ...spec?.(cloud) })
    await cloud.startController()
    await expect.poll(() => condition(cloud, bad.npn, type), patience).toMatch(says)
    await expect.poll(async () => (await cloud.status(bad.npn)).state, patience).toBe(state)
    expect((await cloud.status(bad.npn)).reason).toBe(reason)
    const [, conditionReason] = says.source.split(/[ :]/)
    await expect
      .poll(() => eventsAbout(cloud, bad.npn), patience)
      .toContainEqual(expect.stringMatching(new RegExp(`^Warning ${conditionReason ?? ''}: `)))
    await expect.poll(async () => (await cloud.status(good.npn)).state, patience).toBe('SUCCESS')
  })
})

describe('what is wrong with the controller’s way to the cloud is told by every node', () => {
  const strangerKey = { ...testKey, fingerprint: '00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00' }
  test.each<[string, CloudOptions, RegExp]>([
    [
      'expired credentials',
      { key: strangerKey },
      /^False CredentialsRefused: GetInstance: 401 .*renew oci.authentication/,
    ],
    [
      'a clock that is off',
      { api: { skewMs: 600_000 } },
      /^False ClockSkew: GetInstance: 401 .*synchronise it \(NTP\)/,
    ],
  ])('%s', { timeout: 40_000 }, async (_, options, says) => {
    await using cloud = await ControlledCloud.start(options)
    const { instance, npn } = await cloud.addNode({ name: 'worker-1' })
    await makeNpn(cloud, npn, { id: instance.id, podSubnetIds: [cloud.podSubnets[0]?.id ?? ''] })
    await cloud.startController()
    await expect.poll(() => condition(cloud, npn, 'Accepted'), patience).toMatch(says)
    expect(await cloud.status(npn)).toMatchObject({ state: 'BACKOFF', reason: 'FailedToGetInstance' })
    const [, reason] = says.source.split(/[ :]/)
    await expect
      .poll(() => eventsAbout(cloud, npn), patience)
      .toContainEqual(expect.stringMatching(new RegExp(`^Warning ${reason ?? ''}: `)))
  })
})

describe('BACKOFF is left when the cause goes', () => {
  test('the spec is corrected', { timeout: 40_000 }, async () => {
    await using cloud = await ControlledCloud.start()
    const { instance, npn } = await cloud.addNode({ name: 'worker-1' })
    await makeNpn(cloud, npn, { id: instance.id, podSubnetIds: ['ocid1.subnet.oc1.lab.unknown'] })
    await cloud.startController()
    await expect.poll(async () => (await cloud.status(npn)).state, patience).toBe('BACKOFF')
    const body = { spec: { podSubnetIds: [cloud.podSubnets[0]?.id ?? ''] } }
    unwrap(await cloud.client.patch(nativePodNetworks, { name: npn }, { type: 'merge', body }, soon()))
    await expect.poll(async () => (await cloud.status(npn)).state, patience).toBe('SUCCESS')
  })

  test('the instance is started', { timeout: 40_000 }, async () => {
    await using cloud = await ControlledCloud.start()
    const { instance, npn } = await cloud.addNode({ name: 'worker-1' })
    setInstanceState(cloud.model, instance.id, 'STARTING')
    await cloud.startController()
    await expect.poll(() => condition(cloud, npn, 'Accepted'), patience).toMatch(/InstanceNotRunning: .* is STARTING/)
    setInstanceState(cloud.model, instance.id, 'RUNNING')
    await expect.poll(async () => (await cloud.status(npn)).state, patience).toBe('SUCCESS')
  })

  test('the deleted resource definition is back', { timeout: 60_000 }, async () => {
    await using cloud = await ControlledCloud.start()
    const { npn } = await cloud.addNode({ name: 'worker-1' })
    await cloud.startController()
    await expect.poll(async () => (await cloud.status(npn)).state, patience).toBe('SUCCESS')
    const [vnic] = (await cloud.status(npn)).vnics
    const crd = readCrd()
    unwrap(await cloud.client.delete(customResourceDefinitions, { name: crd.metadata.name }, {}, soon()))
    await expect
      .poll(() => eventsAbout(cloud, 'worker-1'), patience)
      .toContainEqual(expect.stringMatching(/^Warning CrdMissing: .*apply deploy\/crd.yaml/))
    unwrap(await cloud.client.create(customResourceDefinitions, crd, soon()))
    await expect.poll(async () => (await cloud.status(npn)).state, { ...patience, timeout: 40_000 }).toBe('SUCCESS')
    expect((await cloud.status(npn)).vnics).toEqual([vnic])
  })
})

describe('a status that was edited by hand', () => {
  test.each<[string, JsonObject, RegExp]>([
    ['an address taken out', { vnics: [] }, /status.vnics is not what the controller wrote there/],
    ['a nonsense address', { elastic: { releases: [{ address: 'x', vnicId: 'y', state: 'Marked' }] } }, /"x" is not/],
  ])('%s is put right, and told', { timeout: 40_000 }, async (_, status, says) => {
    await using cloud = await ControlledCloud.start()
    const { npn } = await cloud.addNode({ name: 'worker-1' })
    await cloud.startController()
    await expect.poll(async () => (await cloud.status(npn)).state, patience).toBe('SUCCESS')
    const { vnics } = await cloud.status(npn)
    unwrap(
      await cloud.client.patchStatus(nativePodNetworks, { name: npn }, { type: 'merge', body: { status } }, soon()),
    )
    await expect
      .poll(() => condition(cloud, npn, 'StatusIntact'), patience)
      .toMatch(/^True Restored: .*change spec instead/)
    await expect.poll(async () => (await cloud.status(npn)).vnics, patience).toEqual(vnics)
    await expect
      .poll(() => eventsAbout(cloud, npn), patience)
      .toContainEqual(expect.stringMatching(/^Warning StatusEdited: /))
    expect(await condition(cloud, npn, 'StatusIntact')).toMatch(says)
  })
})
