import { describe, expect, test } from 'vitest'
import { formatCidr } from '../base/cidr.ts'
import { parseIpv4 } from '../base/ip.ts'
import { unwrap } from '../base/result.ts'
import { connect, flexShape, serve, type TestCloud, testCloud, testKey } from '../lab/oci-api/cloud.fixture.ts'
import { type Fault, FaultPlan } from '../lab/oci-api/faults.ts'
import type { AttachVnic, CoreServices } from './core-services.ts'
import type { OciErrorKind } from './oci-error.ts'
import { parseInstanceOcid, type VnicOcid } from './ocid.ts'
import { connectCoreServices } from './sdk-adapter.ts'

const never = new AbortController().signal

function wish({ instance, subnet, nsg }: TestCloud): AttachVnic {
  return {
    instanceId: instance.id,
    subnetId: subnet.id,
    nsgIds: [nsg.id],
    displayName: 'pods-1',
    skipSourceDestCheck: true,
    tags: { 'vcn-cni/cluster': 'c1' },
  }
}

async function attached(cloud: TestCloud, services: CoreServices): Promise<VnicOcid> {
  const attachment = unwrap(await services.attachVnic(wish(cloud), 'attach-1', never))
  await cloud.scheduler.advance(10_000)
  const { vnicId } = unwrap(await services.getVnicAttachment(attachment.id, never))
  if (vnicId === undefined) throw new Error('attached without a VNIC')
  return vnicId
}

describe('every call brings back what the cloud has', () => {
  test('instances and shapes', async () => {
    const cloud = testCloud()
    await using server = await serve(cloud)
    const services = await connect(server)
    const { id, compartmentId } = cloud.instance
    expect(await services.getInstance(id, never)).toEqual({
      ok: true,
      value: {
        id,
        compartmentId,
        availabilityDomain: 'Uocm:EU-FRANKFURT-1-AD-1',
        displayName: 'worker-1',
        lifecycleState: 'RUNNING',
        shape: flexShape,
        shapeConfig: { ocpus: 4, maxVnicAttachments: 4 },
        metadata: { 'oke-max-pods': '31' },
        tags: {},
      },
    })
    // A colon in the query, unescaped, is part of what is signed.
    const query = { compartmentId, availabilityDomain: 'Uocm:EU-FRANKFURT-1-AD-1' }
    expect(unwrap(await services.listInstances(query, never)).map((instance) => instance.id)).toEqual([id])
    expect(await services.listShapes({ compartmentId, shape: flexShape }, never)).toEqual({
      ok: true,
      value: [{ name: flexShape, maxVnicAttachmentOptions: { min: 2, max: 24, defaultPerOcpu: 1 } }],
    })
  })

  test('a VNIC from its attachment to its removal', async () => {
    const cloud = testCloud()
    await using server = await serve(cloud)
    const services = await connect(server)
    const attaching = unwrap(await services.attachVnic(wish(cloud), 't1', never))
    expect(attaching).toEqual({
      id: attaching.id,
      instanceId: cloud.instance.id,
      compartmentId: cloud.instance.compartmentId,
      lifecycleState: 'ATTACHING',
      displayName: 'pods-1',
      subnetId: cloud.subnet.id,
      nicIndex: 0,
    })
    await cloud.scheduler.advance(3000)
    const query = { compartmentId: cloud.instance.compartmentId, instanceId: cloud.instance.id }
    const done = unwrap(await services.listVnicAttachments(query, never)).find(({ id }) => id === attaching.id)
    expect(done).toMatchObject({ lifecycleState: 'ATTACHED', vlanTag: expect.any(Number) as number })
    const vnicId = done?.vnicId
    if (vnicId === undefined) throw new Error('no VNIC')
    const vnic = unwrap(await services.getVnic(vnicId, never))
    expect(vnic).toMatchObject({
      lifecycleState: 'AVAILABLE',
      isPrimary: false,
      skipSourceDestCheck: true,
      nsgIds: [cloud.nsg.id],
      tags: { 'vcn-cni/cluster': 'c1' },
      mac: expect.stringMatching(/^02:00:17(:[0-9a-f]{2}){3}$/) as string,
    })
    expect(await services.listNsgVnics(cloud.nsg.id, never)).toEqual({ ok: true, value: [vnicId] })
    const changed = unwrap(await services.updateVnic(vnicId, { nsgIds: [], ifMatch: vnic.etag ?? '' }, never))
    expect(changed).toMatchObject({ nsgIds: [], tags: vnic.tags })
    const late = await services.updateVnic(vnicId, { nsgIds: [cloud.nsg.id], ifMatch: vnic.etag ?? '' }, never)
    expect(late).toMatchObject({ ok: false, error: { kind: 'etagMismatch', status: 412, code: 'NoEtagMatch' } })
    unwrap(await services.detachVnic(attaching.id, never))
    await cloud.scheduler.advance(2000)
    expect(unwrap(await services.getVnicAttachment(attaching.id, never)).lifecycleState).toBe('DETACHED')
    expect(await services.getVnic(vnicId, never)).toMatchObject({ ok: false, error: { kind: 'notFound' } })
  })

  test('addresses and blocks', async () => {
    const cloud = testCloud()
    await using server = await serve(cloud)
    const services = await connect(server)
    const vnicId = await attached(cloud, services)
    const address = unwrap(parseIpv4('10.0.5.7'))
    const single = unwrap(await services.createPrivateIp({ vnicId, address, tags: { a: 'b' } }, 's', never))
    expect(single).toMatchObject({ cidr: { address, prefixLength: 32 }, isPrimary: false, vnicId, tags: { a: 'b' } })
    const block = unwrap(await services.createPrivateIp({ vnicId, cidrPrefixLength: 28, tags: {} }, 'b', never))
    expect(block.cidr.prefixLength).toBe(28)
    expect(unwrap(await services.getSubnet(cloud.subnet.id, never)).lifecycleState).toBe('UPDATING')
    await cloud.scheduler.advance(5000)
    const all = unwrap(await services.listPrivateIps({ vnicId }, never))
    expect(all.filter(({ isPrimary }) => !isPrimary)).toEqual([single, block])
    const one = await services.listPrivateIps({ subnetId: cloud.subnet.id, address }, never)
    expect(one).toEqual({ ok: true, value: [single] })
    const [used] = unwrap(await services.listSubnetCidrUtilisation(cloud.subnet.id, never))
    // Three that the subnet reserves, the VNIC's own, the single one, and the block's 16.
    expect(used).toEqual({ cidr: cloud.subnet.cidrs[0], usedPercent: (100 * 21) / 1024 })
    unwrap(await services.deletePrivateIp(block.id, never))
    expect(unwrap(await services.listPrivateIps({ vnicId }, never)).map(({ id }) => id)).not.toContain(block.id)
  })

  test('the network around', async () => {
    const cloud = testCloud()
    await using server = await serve(cloud)
    const services = await connect(server)
    const { subnet, vcn, nsg } = cloud
    expect(unwrap(await services.getSubnet(subnet.id, never))).toMatchObject({
      vcnId: vcn.id,
      ipv4Cidrs: subnet.cidrs,
      virtualRouterIp: '10.0.4.1',
      virtualRouterMac: subnet.routerMac,
    })
    expect(unwrap(await services.getVcn(vcn.id, never)).ipv4Cidrs.map(formatCidr)).toEqual(['10.0.0.0/16'])
    expect(unwrap(await services.getNetworkSecurityGroup(nsg.id, never)).vcnId).toBe(vcn.id)
  })

  test('lists of several pages are whole, and each further page is asked for', async () => {
    const cloud = testCloud({ settings: { addressesPerVnic: 2000 } })
    await using server = await serve(cloud)
    const pages: string[] = []
    const services = await connect(server, {
      admitPage: (operation) => {
        pages.push(operation)
        return Promise.resolve()
      },
    })
    const vnicId = await attached(cloud, services)
    const vnic = cloud.model.vnics.require(vnicId)
    const { addPrivateIp } = await import('../lab/oci-api/private-ips.ts')
    for (let count = 0; count < 1010; count++) {
      const cidr = cloud.model.space(cloud.subnet.id).find(32)
      if (cidr !== undefined) addPrivateIp(cloud.model, { vnic, cidr, isPrimary: false, displayName: '', tags: {} })
    }
    const listed = unwrap(await services.listPrivateIps({ vnicId }, never))
    expect(new Set(listed.map(({ id }) => id)).size).toBe(1011)
    expect(pages).toEqual(['ListPrivateIps'])
  })
})

describe('what goes wrong becomes a value', () => {
  const unknown = unwrap(parseInstanceOcid('ocid1.instance.oc1.lab.nobody'))
  const status = (code: number, name: string): Fault => ({ kind: 'status', status: code, code: name })

  test.each<[string, Fault, OciErrorKind['kind'], string]>([
    ['429', status(429, 'TooManyRequests'), 'throttled', 'TooManyRequests'],
    ['409 Conflict', status(409, 'Conflict'), 'conflict', 'Conflict'],
    ['409 IncorrectState', status(409, 'IncorrectState'), 'incorrectState', 'IncorrectState'],
    ['409 InvalidatedRetryToken', status(409, 'InvalidatedRetryToken'), 'retryTokenUsed', 'InvalidatedRetryToken'],
    ['400 LimitExceeded', status(400, 'LimitExceeded'), 'limitExceeded', 'LimitExceeded'],
    ['400 QuotaExceeded', status(400, 'QuotaExceeded'), 'quotaExceeded', 'QuotaExceeded'],
    ['400 InvalidParameter', status(400, 'InvalidParameter'), 'invalid', 'InvalidParameter'],
    ['401', status(401, 'NotAuthenticated'), 'notAuthenticated', 'NotAuthenticated'],
    ['403', status(403, 'NotAuthorized'), 'notAuthorized', 'NotAuthorized'],
    ['500', status(500, 'InternalServerError'), 'server', 'InternalServerError'],
    ['503', status(503, 'ServiceUnavailable'), 'server', 'ServiceUnavailable'],
    ['a reset connection', { kind: 'reset' }, 'unreachable', 'ECONNRESET'],
    ['a lost answer', { kind: 'lostAnswer' }, 'unreachable', 'ECONNRESET'],
    ['half an answer', { kind: 'truncated' }, 'unreachable', 'UND_ERR_SOCKET'],
    ['no answer in time', { kind: 'delay', delayMs: 5000 }, 'unreachable', 'ETIMEDOUT'],
  ])('%s', async (_name, fault, kind, code) => {
    const cloud = testCloud()
    await using server = await serve(cloud)
    const services = await connect(server, { attemptTimeoutMs: 1000 })
    server.setFaults(new FaultPlan([{ when: { kind: 'always' }, fault }], 1))
    const result = await services.getInstance(cloud.instance.id, never)
    expect(result).toMatchObject({ ok: false, error: { operation: 'GetInstance', kind, code } })
    if (fault.kind !== 'status' || result.ok) return
    expect(result.error).toMatchObject({ status: fault.status, message: 'by the fault plan' })
    expect(result.error.opcRequestId).toMatch(/^[0-9A-F-]+\/[0-9A-F]{32}$/)
  })

  test('Retry-After is kept', async () => {
    const cloud = testCloud()
    await using server = await serve(cloud)
    const services = await connect(server)
    const fault = { kind: 'status', status: 429, code: 'TooManyRequests', retryAfterSeconds: 7 } as const
    server.setFaults(new FaultPlan([{ when: { kind: 'always' }, fault }], 1))
    const result = await services.getInstance(cloud.instance.id, never)
    expect(result).toMatchObject({ ok: false, error: { kind: 'throttled', retryAfterMs: 7000 } })
  })

  test('an instance that does not exist, or may not be seen', async () => {
    await using server = await serve(testCloud())
    const services = await connect(server)
    expect(await services.getInstance(unknown, never)).toMatchObject({
      ok: false,
      error: { kind: 'notFound', status: 404 },
    })
  })

  test('a clock six minutes off', async () => {
    const cloud = testCloud()
    await using server = await serve(cloud, { skewMs: 360_000 })
    const services = await connect(server)
    const result = await services.getInstance(cloud.instance.id, never)
    expect(result).toMatchObject({ ok: false, error: { kind: 'clockSkew', status: 401, code: 'NotAuthenticated' } })
  })

  test('a key the API does not know', async () => {
    const cloud = testCloud()
    await using server = await serve(cloud)
    const services = await connect(server, { authentication: { kind: 'key', ...testKey, fingerprint: '00:11' } })
    const result = await services.getInstance(cloud.instance.id, never)
    expect(result).toMatchObject({ ok: false, error: { kind: 'notAuthenticated', status: 401 } })
  })

  test('a server that is not there', async () => {
    const cloud = testCloud()
    const server = await serve(cloud)
    const services = await connect(server)
    await server[Symbol.asyncDispose]()
    const result = await services.getInstance(cloud.instance.id, never)
    expect(result).toMatchObject({ ok: false, error: { kind: 'unreachable', code: 'ECONNREFUSED' } })
  })

  test('a region that nobody told', async () => {
    const result = await connectCoreServices({ authentication: { kind: 'key', ...testKey } })
    expect(result).toMatchObject({ ok: false, error: expect.stringContaining('region') as string })
  })
})

test('an aborted call rejects with the reason, and so does one that has not begun', async () => {
  const cloud = testCloud()
  await using server = await serve(cloud)
  const services = await connect(server)
  server.setFaults(new FaultPlan([{ when: { kind: 'always' }, fault: { kind: 'delay', delayMs: 60_000 } }], 1))
  const abort = new AbortController()
  const call = services.getInstance(cloud.instance.id, abort.signal)
  setTimeout(() => abort.abort(new Error('shutting down')), 20)
  await expect(call).rejects.toThrow('shutting down')
  await expect(services.getInstance(cloud.instance.id, abort.signal)).rejects.toThrow('shutting down')
})

describe('a create repeated with its token after any failure makes one object', () => {
  const faults: readonly Fault[] = [
    { kind: 'reset' },
    { kind: 'lostAnswer' },
    { kind: 'truncated' },
    { kind: 'status', status: 500, code: 'InternalServerError' },
    { kind: 'status', status: 429, code: 'TooManyRequests' },
    { kind: 'delay', delayMs: 600 },
  ]
  test.each(faults.map((fault) => [fault.kind === 'status' ? String(fault.status) : fault.kind, fault] as const))(
    '%s',
    async (_name, fault) => {
      const cloud = testCloud()
      await using server = await serve(cloud)
      const services = await connect(server, { attemptTimeoutMs: 300 })
      const when = { kind: 'calls', calls: [1] } as const
      const rules = ['AttachVnic', 'CreatePrivateIp'].map((operation) => ({ operation, when, fault }))
      server.setFaults(new FaultPlan(rules, 1))
      expect((await services.attachVnic(wish(cloud), 'once', never)).ok).toBe(false)
      const attachment = unwrap(await services.attachVnic(wish(cloud), 'once', never))
      await cloud.scheduler.advance(10_000)
      expect(cloud.model.attachments.all()).toHaveLength(2)
      const vnicId = unwrap(await services.getVnicAttachment(attachment.id, never)).vnicId
      if (vnicId === undefined) throw new Error('no VNIC')
      expect((await services.createPrivateIp({ vnicId, tags: {} }, 'once', never)).ok).toBe(false)
      const made = unwrap(await services.createPrivateIp({ vnicId, tags: {} }, 'once', never))
      const secondary = cloud.model.privateIps.all().filter(({ isPrimary }) => !isPrimary)
      expect(secondary.map(({ id }) => id)).toEqual([made.id])
    },
  )
})
