import { expect, it, test } from 'vitest'
import { proxyMetrics } from './proxy-metrics.ts'
import type { ProxyFigures } from './proxy-observer.ts'

const figures: ProxyFigures = {
  services: 3,
  endpoints: 7,
  problems: 1,
  malformed: 0,
  rivals: 2,
  healthCheckPorts: 4,
  closedPorts: 0,
  pendingServices: 5,
  pendingEndpoints: 6,
  withoutLocalEndpoints: { internal: 8, external: 9 },
}

async function linesOf(now: ProxyFigures, act: (metrics: ReturnType<typeof proxyMetrics>) => void = () => undefined) {
  const metrics = proxyMetrics(() => now)
  act(metrics)
  return (await metrics.registry.metrics()).split('\n')
}

/** As dashboards know them: kube-proxy's, by name, type and labels (metrics reference of Kubernetes 1.34). */
test.each([
  ['kubeproxy_sync_proxy_rules_duration_seconds', 'histogram', '_count{ip_family="IPv4"} 2'],
  ['kubeproxy_sync_full_proxy_rules_duration_seconds', 'histogram', '_count{ip_family="IPv4"} 1'],
  ['kubeproxy_sync_partial_proxy_rules_duration_seconds', 'histogram', '_sum{ip_family="IPv4"} 0.005'],
  ['kubeproxy_network_programming_duration_seconds', 'histogram', '_sum{ip_family="IPv4"} 1.5'],
  ['kubeproxy_sync_proxy_rules_last_timestamp_seconds', 'gauge', '{ip_family="IPv4"} 1.5'],
  ['kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds', 'gauge', '{ip_family="IPv4"} 2.5'],
  ['kubeproxy_sync_proxy_rules_service_changes_total', 'counter', ' 1'],
  ['kubeproxy_sync_proxy_rules_endpoint_changes_total', 'counter', ' 2'],
  ['kubeproxy_sync_proxy_rules_service_changes_pending', 'gauge', ' 5'],
  ['kubeproxy_sync_proxy_rules_endpoint_changes_pending', 'gauge', ' 6'],
  ['kubeproxy_sync_proxy_rules_no_local_endpoints_total', 'gauge', '{ip_family="IPv4",traffic_policy="external"} 9'],
  ['kubeproxy_sync_proxy_rules_nftables_sync_failures_total', 'counter', '{ip_family="IPv4"} 1'],
  ['kubeproxy_conntrack_reconciler_sync_duration_seconds', 'histogram', '_count{ip_family="IPv4"} 1'],
  ['kubeproxy_conntrack_reconciler_deleted_entries_total', 'counter', '{ip_family="IPv4"} 3'],
  ['kubeproxy_proxy_healthz_total', 'counter', '{code="503"} 1'],
  ['kubeproxy_proxy_livez_total', 'counter', '{code="200"} 1'],
  ['vcn_cni_service_problems_found_total', 'counter', ' 4'],
  ['vcn_cni_service_rivals', 'gauge', ' 2'],
])('%s is a %s', async (name, type, sample) => {
  const lines = await linesOf({ ...figures, lastSyncedMs: 1500, lastQueuedMs: 2500 }, (metrics) => {
    metrics.changed('service')
    metrics.changed('endpoint')
    metrics.changed('endpoint')
    metrics.synced({ elapsedMs: 20, isFull: true, programmingMs: [500, 1000] })
    metrics.synced({ elapsedMs: 5, isFull: false, programmingMs: [] })
    metrics.failed()
    metrics.conntrackCleaned(4, 3)
    metrics.answered('healthz', 503)
    metrics.answered('livez', 200)
    metrics.foundProblems(4)
  })
  expect(lines).toContain(`# TYPE ${name} ${type}`)
  expect(lines).toContain(`${name}${sample}`)
})

it('has kube-proxy’s buckets', async () => {
  const lines = await linesOf(figures, (metrics) => metrics.synced({ elapsedMs: 1, isFull: true, programmingMs: [1] }))
  const bucketsOf = (name: string): readonly (number | string)[] =>
    lines
      .filter((line) => line.startsWith(`${name}_bucket`))
      .map((line) => /le="([^"]+)"/.exec(line)?.[1] ?? '')
      .map((le) => (le === '+Inf' ? le : Number(le)))
  expect(bucketsOf('kubeproxy_sync_proxy_rules_duration_seconds')).toEqual([
    ...[0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384],
    '+Inf',
  ])
  const programming = bucketsOf('kubeproxy_network_programming_duration_seconds')
  expect(programming.slice(0, 4)).toEqual([0.25, 0.5, 1, 2])
  expect(programming.slice(59, 64)).toEqual([58, 59, 60, 65, 70])
  expect(programming.slice(-9)).toEqual([115, 120, 150, 180, 210, 240, 270, 300, '+Inf'])
})

it('tells no time of a sync before there was one', async () => {
  const lines = await linesOf(figures)
  expect(lines.filter((line) => /^kubeproxy_sync_proxy_rules_last\w+_seconds/.test(line))).toEqual([])
})
