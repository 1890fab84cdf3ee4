import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { parse } from 'yaml'
import { silentLogger } from '../base/logger.ts'
import { unwrap } from '../base/result.ts'
import type { ApiClient } from '../kube/api-client.ts'
import { FakeScheduler } from '../kube/fake-scheduler.fixture.ts'
import { createApiClient } from '../kube/http-api-client.ts'
import { KubeConfigAccess } from '../kube/kube-config.ts'
import type { NativePodNetwork } from '../kube/native-pod-network.ts'
import { classicSpec } from '../kube/native-pod-network.fixture.ts'
import type { JsonObject, Manifest } from '../kube/object.ts'
import { customResourceDefinitions, nativePodNetworks } from '../kube/resources.ts'
import { KubeApiServer } from '../lab/kube-api/server.ts'
import { planNode } from './node-plan.ts'
import type { StatusFacts } from './node-status.ts'
import { nodeWish, observation, observedVnic, planInput, releases } from './observation.fixture.ts'
import { StatusWriter, type StatusInput } from './status-writer.ts'

const never = new AbortController().signal
const name = 'aaaa'
const facts: StatusFacts = {
  state: 'SUCCESS',
  reason: 'COMPLETED',
  conditions: [{ type: 'Accepted', status: 'True', reason: 'Accepted', message: 'yes' }],
}

let server: KubeApiServer
let client: ApiClient
beforeAll(async () => {
  server = await KubeApiServer.start({ tls: false })
  const access = new KubeConfigAccess()
  access.loadFromString(server.kubeconfig())
  client = createApiClient(access, { userAgent: 'test' })
  const crd = parse(readFileSync(new URL('../../deploy/crd.yaml', import.meta.url), 'utf8')) as Manifest
  unwrap(await client.create(customResourceDefinitions, crd, never))
})
afterAll(async () => {
  client.close()
  await server[Symbol.asyncDispose]()
})

let npn: NativePodNetwork
beforeEach(async () => {
  await client.delete(nativePodNetworks, { name }, {}, never)
  npn = unwrap(await client.create(nativePodNetworks, { metadata: { name }, spec: classicSpec }, never))
})

const clock = new FakeScheduler()
const writer = (): StatusWriter => new StatusWriter(client, clock, silentLogger)

// Of a node with two addresses, of which it wants as many as said.
function planned(wanted: number, over: { readonly mayMark?: boolean } = {}): StatusInput {
  const observed = observation([observedVnic('1', { objects: ['10.0.4.8', '10.0.4.9'] })])
  const wish = nodeWish({ addresses: { minimum: wanted } })
  return { facts, planned: { observed, plan: planNode(planInput(observed, wish, over)) } }
}

async function write(input: StatusInput, to = npn): Promise<NativePodNetwork> {
  const written = await writer().write(to, input, never)
  if (written.kind !== 'written') throw new Error(written.kind)
  return written.object
}

async function byAgent(elastic: JsonObject): Promise<NativePodNetwork> {
  const body = { status: { elastic } }
  return unwrap(await client.patchStatus(nativePodNetworks, { name }, { type: 'merge', body }, never))
}

test('everything the first time', async () => {
  const { rawStatus } = await write(planned(2))
  expect(rawStatus).toEqual({
    state: 'SUCCESS',
    reason: 'COMPLETED',
    conditions: [
      {
        type: 'Accepted',
        status: 'True',
        reason: 'Accepted',
        message: 'yes',
        lastTransitionTime: '2026-03-01T00:00:00Z',
        observedGeneration: 1,
      },
    ],
    vnics: [
      {
        vnicId: 'ocid1.vnic.oc1.iad.1',
        macAddress: '02:00:17:00:00:01',
        routerIp: '10.0.4.1',
        subnetCidr: '10.0.4.0/22',
        hostAddress: '10.0.4.2',
        addresses: ['10.0.4.8', '10.0.4.9'],
      },
    ],
    elastic: { assignedAddresses: 2, wantedAddresses: 2 },
  })
})

test('nothing the second time', async () => {
  const again = await writer().write(await write(planned(2)), planned(2), never)
  expect(again).toEqual({ kind: 'unchanged' })
})

test('what the agent wrote stays', async () => {
  await write(planned(2))
  const { rawStatus } = await write(planned(1), await byAgent({ usedAddresses: 1 }))
  expect(rawStatus['elastic']).toEqual({ assignedAddresses: 2, wantedAddresses: 1, usedAddresses: 1 })
})

test('what does not touch the marks may be written over an older version', async () => {
  const seen = await write(planned(2))
  await byAgent({ usedAddresses: 1 })
  const { rawStatus } = await write(planned(1), seen)
  expect(rawStatus['elastic']).toEqual({ assignedAddresses: 2, wantedAddresses: 1, usedAddresses: 1 })
})

test('a mark may not: the agent has spoken since', async () => {
  const seen = await write(planned(2))
  await byAgent({ usedAddresses: 2 })
  expect(await writer().write(seen, planned(1, { mayMark: true }), never)).toEqual({ kind: 'stale' })
})

test('a mark on the newest version is written, and taken back', async () => {
  const marked = await write(planned(1, { mayMark: true }))
  expect(marked.rawStatus['elastic']).toMatchObject({ releases: releases('Marked', '10.0.4.9') })
  const { rawStatus } = await write(planned(2), marked)
  expect(rawStatus['elastic']).toMatchObject({ releases: [], wantedAddresses: 2 })
})

test('a confirmation is never overwritten by a plan that has not heard of it', async () => {
  const marked = await write(planned(1, { mayMark: true }))
  await byAgent({ releases: releases('Confirmed', '10.0.4.9') })
  expect(await writer().write(marked, planned(2), never)).toEqual({ kind: 'stale' })
})

test('without a plan, VNICs and addresses stay as they were', async () => {
  const seen = await write(planned(2))
  const { rawStatus } = await write({ facts: { ...facts, state: 'BACKOFF' } }, seen)
  expect(rawStatus).toMatchObject({ state: 'BACKOFF', vnics: [{ addresses: ['10.0.4.8', '10.0.4.9'] }] })
})

test('a resource that is gone makes the plan stale', async () => {
  await client.delete(nativePodNetworks, { name }, {}, never)
  expect(await writer().write(npn, planned(2), never)).toEqual({ kind: 'stale' })
})

test('a status that nobody can read is replaced where it is ours', async () => {
  const body = { status: { vnics: [], conditions: [], state: 'BACKOFF', elastic: { releases: null } } }
  const odd = unwrap(await client.patchStatus(nativePodNetworks, { name }, { type: 'merge', body }, never))
  const { status } = await write(planned(2), odd)
  expect(unwrap(status)).toMatchObject({ state: 'SUCCESS', vnics: [{ addresses: ['10.0.4.8', '10.0.4.9'] }] })
})
