import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { vcnctlPath } from '../../src/cli/project-root.ts'
import { nodes, resourcePath } from '../../src/kube/resources.ts'
import { nodeAddress, podAddresses, ProxiedNode } from './proxied-node.ts'

// What a load balancer, kubelet and Prometheus see of an agent that is the service proxy.

let node: ProxiedNode
const scope = new AsyncDisposableStack()
const patience = { timeout: 30_000, interval: 25 }
const [pod, otherPod] = podAddresses

beforeAll(async () => {
  node = scope.use(await ProxiedNode.start())
})
afterAll(async () => {
  await scope.disposeAsync()
})

const code = async (host: string, port: number, path: string): Promise<number> =>
  (await node.get(host, port, path)).code

describe('a load balancer’s Service of policy Local', () => {
  const port = 32_100
  it('has a health check of its own at the node’s address, and loses it with the Service', async () => {
    node.createService('shop', {
      type: 'LoadBalancer',
      clusterIP: '10.96.0.70',
      externalTrafficPolicy: 'Local',
      healthCheckNodePort: port,
      ports: [{ port: 80, protocol: 'TCP', targetPort: 8080, nodePort: 30_080 }],
    })
    await expect.poll(() => code(nodeAddress, port, '/'), patience).toBe(503)
    node.setEndpoints('shop', [{ address: pod }, { address: otherPod }, { address: '10.0.9.9', isHere: false }])
    await expect.poll(() => code(nodeAddress, port, '/'), patience).toBe(200)
    const { headers, body } = await node.get(nodeAddress, port, '/healthz')
    expect(headers).toContain('X-Load-Balancing-Endpoint-Weight: 2')
    expect(headers).toContain('application/json')
    expect(JSON.parse(body)).toEqual({
      service: { namespace: 'default', name: 'shop' },
      localEndpoints: 2,
      serviceProxyHealthy: true,
    })
    // As with node ports: never at loopback.
    expect(await code('127.0.0.1', port, '/')).toBe(0)
    node.setEndpoints('shop', [{ address: '10.0.9.9', isHere: false }])
    await expect.poll(() => code(nodeAddress, port, '/'), patience).toBe(503)
    await expect.poll(async () => (await node.metrics()).get(noLocal('external')), patience).toBe(1)
    node.deleteService('shop')
    await expect.poll(() => code(nodeAddress, port, '/'), patience).toBe(0)
  })

  const noLocal = (policy: string): string =>
    `kubeproxy_sync_proxy_rules_no_local_endpoints_total{ip_family="IPv4",traffic_policy="${policy}"}`
})

describe('the proxy’s own health', () => {
  it('is good at every address of the node', async () => {
    for (const host of [nodeAddress, '127.0.0.1']) {
      const { code: status, body } = await node.get(host, 10_256, '/healthz')
      expect(status).toBe(200)
      expect(JSON.parse(body)).toMatchObject({ healthy: true, nodeEligible: true })
    }
    expect(JSON.parse((await node.get(nodeAddress, 10_256, '/livez')).body)).not.toHaveProperty('nodeEligible')
    expect(await code(nodeAddress, 10_256, '/other')).toBe(404)
  })

  it('sends load balancers away from a node that will go, and restarts nobody for it', async () => {
    node.patchNode({ taints: [{ key: 'ToBeDeletedByClusterAutoscaler', value: '1', effect: 'NoSchedule' }] })
    await expect.poll(() => code(nodeAddress, 10_256, '/healthz'), patience).toBe(503)
    expect(JSON.parse((await node.get(nodeAddress, 10_256, '/healthz')).body)).toMatchObject({
      healthy: true,
      nodeEligible: false,
    })
    expect(await code(nodeAddress, 10_256, '/livez')).toBe(200)
    node.patchNode({ taints: null })
    await expect.poll(() => code(nodeAddress, 10_256, '/healthz'), patience).toBe(200)
  })
})

it('the status tells how the proxy is', async () => {
  await expect.poll(async () => (await node.status())?.state, patience).toBe('running')
  const { stdout } = await node.run(vcnctlPath, 'status', '--socket', node.cluster.node.socketPath)
  expect(stdout).toMatch(/^services: running$/m)
  expect(stdout).toMatch(/^services: \d+ to \d+ endpoints, kernel last complete 20\d\d-/m)
})

it('a Node that is deleted ends no health but the load balancers’, and Services go on', async () => {
  const { cluster } = node
  cluster.call('DELETE', resourcePath(nodes, { name: cluster.node.name }))
  await expect.poll(() => code(nodeAddress, 10_256, '/healthz'), patience).toBe(503)
  node.createService('later', { clusterIP: '10.96.0.75', ports: [{ port: 80, protocol: 'TCP' }] })
  await expect.poll(() => node.elements(), patience).toContain('10.96.0.75')
  expect(await code(nodeAddress, 10_256, '/livez')).toBe(200)
  node.deleteService('later')
  cluster.createNode({ status: { addresses: [{ type: 'InternalIP', address: nodeAddress }] } })
  await expect.poll(() => code(nodeAddress, 10_256, '/healthz'), patience).toBe(200)
})

describe('the metrics', () => {
  it('are kube-proxy’s, on its port, at loopback only', async () => {
    const trigger = { 'endpoints.kubernetes.io/last-change-trigger-time': new Date(Date.now()).toISOString() }
    node.createService('counted', { clusterIP: '10.96.0.71', ports: [{ port: 53, protocol: 'UDP' }] })
    node.setEndpoints('counted', [{ address: pod }], 'UDP', trigger)
    const value = async (name: string): Promise<number> => (await node.metrics()).get(name) ?? NaN
    await expect.poll(() => value('vcn_cni_service_endpoints'), patience).toBe(1)
    const metrics = await node.metrics()
    const names = [...metrics.keys()].map((sample) => sample.replace(/(_bucket)?\{.*le=.*/, '').replace(/\{.*/, ''))
    for (const name of kubeProxyNames) expect(names, name).toContain(name)
    const above = (name: string): number => metrics.get(name) ?? 0
    expect(above('kubeproxy_network_programming_duration_seconds_count{ip_family="IPv4"}')).toBeGreaterThan(0)
    expect(above('kubeproxy_sync_full_proxy_rules_duration_seconds_count{ip_family="IPv4"}')).toBeGreaterThan(0)
    expect(above('kubeproxy_sync_partial_proxy_rules_duration_seconds_count{ip_family="IPv4"}')).toBeGreaterThan(0)
    expect(above('kubeproxy_proxy_healthz_total{code="503"}')).toBeGreaterThan(0)
    expect(above('kubeproxy_sync_proxy_rules_service_changes_total')).toBeGreaterThan(1)
    expect(metrics.get('kubeproxy_sync_proxy_rules_service_changes_pending')).toBe(0)
    expect(metrics.get('vcn_cni_services')).toBe(1)
    expect(await code(nodeAddress, 10_249, '/metrics')).toBe(0)
  })
})

const kubeProxyNames = [
  'kubeproxy_sync_proxy_rules_duration_seconds',
  'kubeproxy_sync_proxy_rules_last_timestamp_seconds',
  'kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds',
  'kubeproxy_sync_proxy_rules_service_changes_pending',
  'kubeproxy_sync_proxy_rules_endpoint_changes_pending',
  'kubeproxy_sync_proxy_rules_endpoint_changes_total',
  'kubeproxy_sync_proxy_rules_no_local_endpoints_total',
  'kubeproxy_sync_proxy_rules_nftables_sync_failures_total',
  'kubeproxy_conntrack_reconciler_sync_duration_seconds',
  'kubeproxy_conntrack_reconciler_deleted_entries_total',
]
