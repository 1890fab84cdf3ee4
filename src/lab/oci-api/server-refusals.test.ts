// The client is Oracle's own SDK: what it reads from a refusal is what the emulator has to say.
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { parseIpv4Cidr } from '../../base/cidr.ts'
import { unwrap } from '../../base/result.ts'
import type { TestCloud, TestCloudOptions } from './cloud.fixture.ts'
import { setInstanceState } from './instances.ts'
import { attach, attachDetails, create, type Setup, setUp } from './sdk-clients.fixture.ts'

// The SDK prints every failure.
beforeAll(() => void vi.spyOn(console, 'warn').mockReturnValue())
afterAll(() => void vi.restoreAllMocks())

/** Takes addresses until only so many of the subnet are left. */
function fill({ model, subnet }: TestCloud, left: number): void {
  const space = model.space(subnet.id)
  const free = []
  for (let block = space.find(32); block !== undefined; block = space.find(32)) {
    space.take(block)
    free.push(block)
  }
  for (const block of free.slice(0, left)) space.release(block)
}

type Wrong = (setup: Setup, vnicId: string) => Promise<unknown>

const wrongs: readonly [name: string, status: number, code: string, wrong: Wrong, options?: TestCloudOptions][] = [
  [
    'an instance that does not exist',
    404,
    'NotAuthorizedOrNotFound',
    ({ compute }) => compute.getInstance({ instanceId: 'ocid1.instance.oc1.lab.none' }),
  ],
  [
    'a list without its compartment',
    400,
    'MissingParameter',
    ({ compute }) => compute.listInstances({ compartmentId: '' }),
  ],
  ['private IPs of nothing', 400, 'MissingParameter', ({ network }) => network.listPrivateIps({})],
  [
    'a page that no list gave',
    400,
    'InvalidParameter',
    ({ network }, vnicId) => network.listPrivateIps({ vnicId, page: 'x' }),
  ],
  [
    'a limit of 1001',
    400,
    'InvalidParameter',
    ({ network }, vnicId) => network.listPrivateIps({ vnicId, limit: 1001 }),
  ],
  [
    'a VNIC in an unknown subnet',
    400,
    'RelatedResourceNotAuthorizedOrNotFound',
    (setup) => attach(setup, { subnetId: 'ocid1.subnet.oc1.lab.none' }),
  ],
  [
    'a second attach while the first one is under way',
    409,
    'Conflict',
    async (setup) => {
      const attachVnicDetails = attachDetails(setup)
      await setup.compute.attachVnic({ attachVnicDetails })
      return setup.compute.attachVnic({ attachVnicDetails })
    },
  ],
  ['more VNICs than the shape takes', 400, 'LimitExceeded', (setup) => attach(setup), { ocpus: 1 }],
  [
    'a VNIC for an instance that is starting',
    409,
    'IncorrectState',
    (setup) => {
      setInstanceState(setup.model, setup.instance.id, 'STARTING')
      return attach(setup)
    },
  ],
  [
    'an NSG of another VCN',
    400,
    'InvalidParameter',
    (setup) => {
      const { model, instance } = setup
      const cidrs = [unwrap(parseIpv4Cidr('10.9.0.0/16'))]
      const other = model.addVcn({ compartmentId: instance.compartmentId, displayName: 'other', cidrs })
      return attach(setup, { nsgIds: [model.addNsg({ vcnId: other.id, displayName: 'other' }).id] })
    },
  ],
  [
    'six NSGs',
    400,
    'InvalidParameter',
    (setup) => attach(setup, { nsgIds: Array.from({ length: 6 }, () => setup.nsg.id) }),
  ],
  [
    'a VNIC in a full subnet',
    400,
    'LimitExceeded',
    (setup) => {
      fill(setup, 0)
      return attach(setup)
    },
  ],
  [
    'detaching the primary VNIC',
    400,
    'InvalidParameter',
    ({ compute, model }) => compute.detachVnic({ vnicAttachmentId: model.attachments.all()[0]?.id ?? '' }),
  ],
  [
    'detaching twice',
    409,
    'IncorrectState',
    async ({ compute, model }) => {
      const vnicAttachmentId = model.attachments.all().at(-1)?.id ?? ''
      await compute.detachVnic({ vnicAttachmentId })
      return compute.detachVnic({ vnicAttachmentId })
    },
  ],
  [
    'an address of a VNIC that does not exist',
    400,
    'RelatedResourceNotAuthorizedOrNotFound',
    (setup) => create(setup, { vnicId: 'ocid1.vnic.oc1.lab.none' }),
  ],
  ['an address without a VNIC', 400, 'MissingParameter', (setup) => create(setup, { ipAddress: '10.0.4.9' })],
  [
    "the subnet's own address",
    400,
    'InvalidParameter',
    (setup, vnicId) => create(setup, { vnicId, ipAddress: '10.0.4.0' }),
  ],
  [
    "the router's address",
    400,
    'InvalidParameter',
    (setup, vnicId) => create(setup, { vnicId, ipAddress: '10.0.4.1' }),
  ],
  ['the last address', 400, 'InvalidParameter', (setup, vnicId) => create(setup, { vnicId, ipAddress: '10.0.7.255' })],
  [
    'an address of another subnet',
    400,
    'InvalidParameter',
    (setup, vnicId) => create(setup, { vnicId, ipAddress: '10.0.8.5' }),
  ],
  [
    'an address in use',
    409,
    'Conflict',
    async (setup, vnicId) => {
      await create(setup, { vnicId, ipAddress: '10.0.4.9' })
      return create(setup, { vnicId, ipAddress: '10.0.4.9' })
    },
  ],
  ['a block of /31', 400, 'InvalidParameter', (setup, vnicId) => create(setup, { vnicId, cidrPrefixLength: 31 })],
  ['a block of /17', 400, 'InvalidParameter', (setup, vnicId) => create(setup, { vnicId, cidrPrefixLength: 17 })],
  [
    'a block that begins in its middle',
    400,
    'InvalidParameter',
    (setup, vnicId) => create(setup, { vnicId, ipAddress: '10.0.4.24', cidrPrefixLength: 28 }),
  ],
  [
    'a block over the reserved addresses',
    400,
    'InvalidParameter',
    (setup, vnicId) => create(setup, { vnicId, ipAddress: '10.0.4.0', cidrPrefixLength: 28 }),
  ],
  [
    'an address in a full subnet',
    400,
    'LimitExceeded',
    (setup, vnicId) => {
      fill(setup, 0)
      return create(setup, { vnicId })
    },
  ],
  [
    'a block in a subnet with 20 free addresses here and there',
    400,
    'LimitExceeded',
    (setup, vnicId) => {
      fill(setup, 20)
      return create(setup, { vnicId, cidrPrefixLength: 28 })
    },
  ],
  [
    'the 65th object of a VNIC',
    400,
    'LimitExceeded',
    async (setup, vnicId) => {
      for (let count = 0; count < 64; count++) await create(setup, { vnicId })
      return create(setup, { vnicId })
    },
  ],
  [
    'an address while the subnet is updating for its first block',
    409,
    'IncorrectState',
    async (setup, vnicId) => {
      await create(setup, { vnicId, cidrPrefixLength: 28 })
      return create(setup, { vnicId })
    },
  ],
  [
    'deleting a primary address',
    400,
    'InvalidParameter',
    ({ network, model }, vnicId) => {
      const primary = model.privateIps.all().find((one) => one.vnicId === vnicId && one.isPrimary)
      return network.deletePrivateIp({ privateIpId: primary?.id ?? '' })
    },
  ],
  [
    'an etag of before',
    412,
    'NoEtagMatch',
    async ({ network }, vnicId) => {
      const { etag: ifMatch } = await network.getVnic({ vnicId })
      await network.updateVnic({ vnicId, ifMatch, updateVnicDetails: { displayName: 'one' } })
      return network.updateVnic({ vnicId, ifMatch, updateVnicDetails: { displayName: 'two' } })
    },
  ],
  [
    'a retry token for another request',
    409,
    'InvalidatedRetryToken',
    async (setup, vnicId) => {
      await create(setup, { vnicId }, 'token')
      return create(setup, { vnicId, ipAddress: '10.0.4.9' }, 'token')
    },
  ],
  [
    'a retry token whose object is gone',
    409,
    'InvalidatedRetryToken',
    async (setup, vnicId) => {
      const { privateIp } = await create(setup, { vnicId }, 'token')
      await setup.network.deletePrivateIp({ privateIpId: privateIp.id ?? '' })
      return create(setup, { vnicId }, 'token')
    },
  ],
]

describe('it refuses', () => {
  test.each(wrongs)('%s: %i %s', async (_name, statusCode, serviceCode, wrong, options = {}) => {
    const setup = await setUp(options)
    await using _server = setup.server
    const vnicId = options.ocpus === 1 ? '' : ((await attach(setup)).vnicId ?? '')
    if (options.ocpus === 1) await attach(setup)
    const refused: unknown = await wrong(setup, vnicId).then(
      () => 'accepted',
      (error: unknown) => error,
    )
    expect(refused).toMatchObject({ statusCode, serviceCode, message: expect.stringMatching(/./) as string })
  })
})
