import { describe, expect, test } from 'vitest'
import { pinoLogger } from '../../src/cli/pino-logger.ts'
import { nativePodNetworks } from '../../src/kube/resources.ts'
import { FaultPlan } from '../../src/lab/oci-api/faults.ts'
import { ControlledCloud } from './controlled-cloud.ts'
import { differences, podVnicCounts } from './cloud-comparison.ts'

const patience = { timeout: 15_000, interval: 20 }

describe('a node that has no resource', () => {
  test('gets one, a VNIC and its first addresses', async () => {
    await using cloud = await ControlledCloud.start({ logger: pinoLogger(process.env['LOG'] ?? 'silent') })
    const { npn } = await cloud.addNode({ name: 'worker-1', metadata: { 'oke-max-pods': '31' } })
    await cloud.startController()
    await expect.poll(async () => (await cloud.status(npn)).state, patience).toBe('SUCCESS')
    const { spec, status, metadata } = await cloud.npn(npn)
    expect(spec).toMatchObject({ ok: true, value: { maxPodCount: 31, podSubnetIds: [cloud.podSubnets[0]?.id] } })
    expect(metadata.ownerReferences).toMatchObject([{ kind: 'Node', name: 'worker-1' }])
    expect(status).toMatchObject({
      ok: true,
      value: { reason: 'COMPLETED', elastic: { assignedAddresses: 16, wantedAddresses: 4 } },
    })
    const npns = await cloud.client.list(nativePodNetworks, {}, AbortSignal.timeout(5000))
    expect(differences(cloud.model, npns.ok ? npns.value.items : [])).toEqual([])
    expect(podVnicCounts(cloud.model)).toEqual([1])
  })
})

test('an attach whose answer is lost until the VNIC is there makes no second one', { timeout: 40_000 }, async () => {
  const fault = { kind: 'lostAnswer' } as const
  const plan = new FaultPlan([{ operation: 'AttachVnic', when: { kind: 'calls', calls: [1] }, fault }], 1)
  // Attached before the call is repeated.
  await using cloud = await ControlledCloud.start({ settings: { attachDelayMs: 0 }, api: { faults: plan } })
  const { npn } = await cloud.addNode({ name: 'worker-1' })
  await cloud.startController()
  await expect.poll(async () => (await cloud.status(npn)).state, patience).toBe('SUCCESS')
  expect(podVnicCounts(cloud.model)).toEqual([1])
})
