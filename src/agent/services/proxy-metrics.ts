import { exponentialBuckets, linearBuckets } from 'prom-client/lib/bucketGenerators.js'
import Counter from 'prom-client/lib/counter.js'
import Histogram from 'prom-client/lib/histogram.js'
import Registry from 'prom-client/lib/registry.js'
import { addGauge, type Sample } from '../http/sampled-gauge.ts'
import type { FinishedSync, ProxyFigures, ProxyObserver } from './proxy-observer.ts'

// Names, labels, help and buckets of what begins with kubeproxy_ are kube-proxy's (pkg/proxy/metrics/metrics.go of
// Kubernetes 1.34), so that its dashboards and alerts go on working. What it has and we do not: metrics of iptables, and
// sync_proxy_rules_nftables_cleanup_failures_total, as there are no chains of Services that would have to be cleaned up.

const family = { ip_family: 'IPv4' }
const familyLabel = ['ip_family']
const syncBuckets = exponentialBuckets(0.001, 2, 15)
const programmingBuckets = [
  ...linearBuckets(0.25, 0.25, 2),
  ...linearBuckets(1, 1, 59),
  ...linearBuckets(60, 5, 12),
  ...linearBuckets(120, 30, 7),
]

export interface ProxyMetrics extends ProxyObserver {
  readonly registry: Registry
}

/** `figures` is asked at every scrape. */
export function proxyMetrics(figures: () => ProxyFigures): ProxyMetrics {
  const registry = new Registry()
  addFigures(registry, figures)
  const counters = addCounters(registry)
  const histograms = addHistograms(registry)
  return {
    registry,
    changed: (what) => (what === 'service' ? counters.services : counters.endpoints).inc(),
    synced: (sync) => observeSync(histograms, sync),
    failed: () => counters.failures.inc(family),
    conntrackCleaned: (elapsedMs, flowsDeleted) => {
      histograms.conntrack.observe(family, elapsedMs / 1000)
      counters.flows.inc(family, flowsDeleted)
    },
    answered: (path, code) => counters[path].inc({ code: String(code) }),
    foundProblems: (count) => counters.problems.inc(count),
  }
}

type Histograms = ReturnType<typeof addHistograms>

function observeSync(histograms: Histograms, { elapsedMs, isFull, programmingMs }: FinishedSync): void {
  histograms.sync.observe(family, elapsedMs / 1000)
  const ofItsKind = isFull ? histograms.fullSync : histograms.partialSync
  ofItsKind.observe(family, elapsedMs / 1000)
  for (const latencyMs of programmingMs) histograms.programming.observe(family, latencyMs / 1000)
}

function addHistograms(registry: Registry) {
  const histogram = (name: string, help: string, buckets: readonly number[]): Histogram =>
    new Histogram({ name, help, buckets: [...buckets], labelNames: familyLabel, registers: [registry] })
  return {
    sync: histogram('kubeproxy_sync_proxy_rules_duration_seconds', 'SyncProxyRules latency in seconds', syncBuckets),
    fullSync: histogram(
      'kubeproxy_sync_full_proxy_rules_duration_seconds',
      'SyncProxyRules latency in seconds for full resyncs',
      syncBuckets,
    ),
    partialSync: histogram(
      'kubeproxy_sync_partial_proxy_rules_duration_seconds',
      'SyncProxyRules latency in seconds for partial resyncs',
      syncBuckets,
    ),
    programming: histogram(
      'kubeproxy_network_programming_duration_seconds',
      'In Cluster Network Programming Latency in seconds',
      programmingBuckets,
    ),
    conntrack: histogram(
      'kubeproxy_conntrack_reconciler_sync_duration_seconds',
      'ReconcileConntrackFlowsLatency latency in seconds',
      syncBuckets,
    ),
  }
}

function addCounters(registry: Registry) {
  const counter = (name: string, help: string, labelNames: readonly string[] = []): Counter =>
    new Counter({ name, help, labelNames: [...labelNames], registers: [registry] })
  const counters = {
    services: counter('kubeproxy_sync_proxy_rules_service_changes_total', 'Cumulative proxy rules Service changes'),
    endpoints: counter('kubeproxy_sync_proxy_rules_endpoint_changes_total', 'Cumulative proxy rules Endpoint changes'),
    failures: counter(
      'kubeproxy_sync_proxy_rules_nftables_sync_failures_total',
      'Cumulative proxy nftables sync failures',
      familyLabel,
    ),
    flows: counter(
      'kubeproxy_conntrack_reconciler_deleted_entries_total',
      'Cumulative conntrack flows deleted by conntrack reconciler',
      familyLabel,
    ),
    healthz: counter('kubeproxy_proxy_healthz_total', 'Cumulative proxy healthz HTTP status', ['code']),
    livez: counter('kubeproxy_proxy_livez_total', 'Cumulative proxy livez HTTP status', ['code']),
    problems: counter(
      'vcn_cni_service_problems_found_total',
      'Fields of Services and EndpointSlices that were left out because they are wrong, or taken by an older Service',
    ),
  }
  // An alert on their rise wants to see the 0 before it.
  counters.failures.inc(family, 0)
  counters.flows.inc(family, 0)
  return counters
}

function addFigures(registry: Registry, figures: () => ProxyFigures): void {
  const gauge = (name: string, help: string, labelNames: readonly string[], read: (now: ProxyFigures) => Sample[]) =>
    addGauge(registry, { name, help, labelNames, read: () => read(figures()) })
  const seconds = (ms: number | undefined): number | undefined => (ms === undefined ? undefined : ms / 1000)
  gauge(
    'kubeproxy_sync_proxy_rules_last_timestamp_seconds',
    'The last time proxy rules were successfully synced',
    familyLabel,
    ({ lastSyncedMs }) => [[family, seconds(lastSyncedMs)]],
  )
  gauge(
    'kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds',
    'The last time a sync of proxy rules was queued',
    familyLabel,
    ({ lastQueuedMs }) => [[family, seconds(lastQueuedMs)]],
  )
  gauge(
    'kubeproxy_sync_proxy_rules_no_local_endpoints_total',
    'Number of services with a Local traffic policy and no endpoints',
    ['ip_family', 'traffic_policy'],
    ({ withoutLocalEndpoints: { internal, external } }) => [
      [{ ...family, traffic_policy: 'internal' }, internal],
      [{ ...family, traffic_policy: 'external' }, external],
    ],
  )
  for (const [name, help, field] of plainFigures) gauge(name, help, [], (now) => [[{}, now[field]]])
}

type PlainFigure = { [K in keyof ProxyFigures]-?: ProxyFigures[K] extends number ? K : never }[keyof ProxyFigures]

const plainFigures: readonly (readonly [name: string, help: string, field: PlainFigure])[] = [
  ['kubeproxy_sync_proxy_rules_service_changes_pending', 'Pending proxy rules Service changes', 'pendingServices'],
  ['kubeproxy_sync_proxy_rules_endpoint_changes_pending', 'Pending proxy rules Endpoint changes', 'pendingEndpoints'],
  ['vcn_cni_services', 'Services that this node translates', 'services'],
  ['vcn_cni_service_endpoints', 'Places that this node leads Services’ packets to', 'endpoints'],
  ['vcn_cni_service_problems', 'Fields of Services and EndpointSlices that are left out now', 'problems'],
  ['vcn_cni_service_malformed_objects', 'Services, EndpointSlices and Nodes that do not parse', 'malformed'],
  ['vcn_cni_service_rivals', 'Tables, chains and interfaces of a kube-proxy on this node', 'rivals'],
  ['vcn_cni_service_health_check_ports', 'healthCheckNodePorts that are asked for', 'healthCheckPorts'],
  ['vcn_cni_service_closed_ports', 'Ports of the proxy’s servers that could not be opened', 'closedPorts'],
]
