import { execFile } from 'node:child_process'
import { createServer } from 'node:net'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { parseIpv4 } from '../../base/ip.ts'
import { unwrap } from '../../base/result.ts'
import { TestNetns } from '../../datapath/netns.fixture.ts'
import { instanceMetadataClient } from '../../oci/instance-metadata.ts'
import { testCloud } from './cloud.fixture.ts'
import { MetadataService } from './metadata-service.ts'
import { attachVnic } from './vnic-attachments.ts'

const loopback = unwrap(parseIpv4('127.0.0.1'))
const never = new AbortController().signal

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

async function started(cloud = testCloud()) {
  const port = await freePort()
  const service = await MetadataService.start({
    model: cloud.model,
    instanceId: cloud.instance.id,
    address: loopback,
    port,
  })
  return { cloud, service, endpoint: `http://127.0.0.1:${port}` }
}

test('the client reads its instance and its VNICs, the primary one first', async () => {
  const { cloud, service, endpoint } = await started()
  await using _service = service
  const client = instanceMetadataClient({ endpoint })
  const { id, compartmentId, availabilityDomain, shape } = cloud.instance
  expect(await client.getInstance(never)).toEqual({
    ok: true,
    value: {
      id,
      compartmentId,
      availabilityDomain,
      shape,
      displayName: 'worker-1',
      region: 'lab',
      metadata: { 'oke-max-pods': '31' },
    },
  })
  const vnic = { subnetId: cloud.subnet.id, displayName: '', nsgIds: [], skipSourceDestCheck: true, tags: {} }
  unwrap(attachVnic(cloud.model, { instanceId: id, displayName: '', nicIndex: 0, vnic }))
  expect(unwrap(await client.listVnics(never))).toHaveLength(1)
  await cloud.scheduler.advance(3000)
  const [primary, secondary] = unwrap(await client.listVnics(never))
  const records = cloud.model.vnics.all()
  expect(primary).toMatchObject({
    id: records[0]?.id,
    privateIp: records[0]?.primaryAddress,
    virtualRouterIp: '10.0.0.1',
  })
  expect(secondary).toEqual({
    id: records[1]?.id,
    mac: records[1]?.mac,
    privateIp: records[1]?.primaryAddress,
    vlanTag: records[1]?.vlanTag,
    virtualRouterIp: '10.0.4.1',
    subnetCidr: cloud.subnet.cidrs[0],
    nicIndex: 0,
  })
})

describe('it refuses', () => {
  test.each<[string, Record<string, string>, number]>([
    ['a request without the header', {}, 401],
    ['another bearer', { authorization: 'Bearer Someone' }, 401],
    ['a forwarded request', { authorization: 'Bearer Oracle', 'x-forwarded-for': '10.0.0.9' }, 403],
    ['one forwarded by RFC 7239', { authorization: 'Bearer Oracle', forwarded: 'for=10.0.0.9' }, 403],
  ])('%s', async (_name, headers, status) => {
    const { service, endpoint } = await started()
    await using _service = service
    const response = await fetch(`${endpoint}/opc/v2/instance/`, { headers })
    expect(response.status).toBe(status)
  })
})

describe('the client tells apart', () => {
  test('a refusal', async () => {
    const { service, endpoint } = await started()
    await using _service = service
    const client = instanceMetadataClient({ endpoint: `${endpoint}/nowhere` })
    expect(await client.getInstance(never)).toMatchObject({ ok: false, error: { kind: 'refused', status: 404 } })
  })

  test('silence', async () => {
    const client = instanceMetadataClient({ endpoint: `http://127.0.0.1:${await freePort()}` })
    expect(await client.listVnics(never)).toMatchObject({
      ok: false,
      error: { kind: 'unreachable', message: expect.stringContaining('ECONNREFUSED') as string },
    })
  })
})

test("in a node's namespace it answers the node and the primary address, not a pod's", async () => {
  using node = new TestNetns()
  const cloud = testCloud()
  const primary = cloud.model.vnics.all()[0]?.primaryAddress ?? loopback
  for (const address of ['169.254.169.254', primary, '10.0.4.77']) node.ip(`address add ${address}/32 dev lo`)
  node.ip('link set lo up')
  const address = unwrap(parseIpv4('169.254.169.254'))
  const options = { model: cloud.model, instanceId: cloud.instance.id, netns: node.fd, address, port: 80 }
  await using _service = await MetadataService.start(options)
  const ask = async (...from: readonly string[]): Promise<string> => {
    const curl = ['curl', '-s', '-o', '/dev/null', '-w', '%{http_code}', '-H', 'Authorization: Bearer Oracle', ...from]
    const url = 'http://169.254.169.254/opc/v2/vnics/'
    return (await promisify(execFile)('nsenter', [`--net=${node.path}`, '--', ...curl, url])).stdout
  }
  expect(await ask()).toBe('200')
  expect(await ask('--interface', primary)).toBe('200')
  expect(await ask('--interface', '10.0.4.77')).toBe('403')
})
