import { expect, test } from 'vitest'
import { controllerMetrics } from '../../src/controller/metrics.ts'
import { serveMetrics } from '../../src/cli/metrics-server.ts'
import { ControlledCloud } from './controlled-cloud.ts'

const patience = { timeout: 20_000, interval: 20 }

test('metrics tell of calls, nodes, addresses and watches; probes of what is not there yet', async () => {
  await using cloud = await ControlledCloud.start()
  const { npn } = await cloud.addNode({ name: 'worker-1' })
  const { controller } = await cloud.startController()
  const registry = controllerMetrics({
    counters: cloud.counters,
    limiter: { state: () => ({ perSecond: 20, waiting: 0 }) },
    leading: () => ({ health: controller.health(), totals: controller.totals() }),
  })
  const problems: string[] = ['nodes are not listed yet']
  await using server = await serveMetrics({ host: '127.0.0.1', port: 0, registry, problems: () => problems })
  expect((await fetch(`${server.url}/readyz`)).status).toBe(503)
  problems.pop()
  expect((await fetch(`${server.url}/readyz`)).status).toBe(200)
  expect((await fetch(`${server.url}/healthz`)).status).toBe(200)
  await expect.poll(async () => (await cloud.status(npn)).state, patience).toBe('SUCCESS')
  const text = async (): Promise<string> => (await fetch(`${server.url}/metrics`)).text()
  await expect.poll(text, patience).toContain('vcn_cni_nodes{state="SUCCESS"} 1')
  expect((await text()).split('\n')).toEqual(
    expect.arrayContaining([
      'vcn_cni_oci_requests_total{operation="AttachVnic"} 1',
      'vcn_cni_addresses{kind="assigned"} 16',
      'vcn_cni_watch_connected{resource="pods"} 1',
      'vcn_cni_leader 1',
      'vcn_cni_orphan_vnics 0',
      'vcn_cni_oci_rate_limit{operation="CreatePrivateIp"} 20',
    ]),
  )
})
