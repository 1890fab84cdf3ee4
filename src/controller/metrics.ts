import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client'
import type { CallCounters } from '../oci/call-counters.ts'
import type { RateLimiter } from '../oci/rate-limit.ts'
import type { ControllerHealth } from './controller.ts'
import type { NodeTotals } from './node-totals.ts'

export interface MetricsSources {
  readonly counters: CallCounters
  readonly limiter: Pick<RateLimiter, 'state'>
  /** Absent while somebody else leads. */
  readonly leading: () => { readonly health: ControllerHealth; readonly totals: NodeTotals } | undefined
}

/** Everything is read when somebody asks: nothing has to be kept in step. */
export function controllerMetrics(sources: MetricsSources): Registry {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  addCallMetrics(registry, sources)
  addNodeMetrics(registry, sources)
  addHealthMetrics(registry, sources)
  return registry
}

type Sample = readonly [labels: Readonly<Record<string, string>>, value: number]

function gauge(
  registry: Registry,
  name: string,
  help: string,
  labelNames: readonly string[],
  samples: () => readonly Sample[],
): void {
  const made: Gauge = new Gauge({
    name,
    help,
    labelNames: [...labelNames],
    registers: [registry],
    collect: () => {
      made.reset()
      for (const [labels, value] of samples()) made.set({ ...labels }, value)
    },
  })
}

function counter(
  registry: Registry,
  name: string,
  help: string,
  labelNames: readonly string[],
  samples: () => readonly Sample[],
): void {
  const made: Counter = new Counter({
    name,
    help,
    labelNames: [...labelNames],
    registers: [registry],
    collect: () => {
      made.reset()
      for (const [labels, value] of samples()) made.inc({ ...labels }, value)
    },
  })
}

function addCallMetrics(registry: Registry, { counters, limiter }: MetricsSources): void {
  const byOperation = (of: 'calls' | 'throttled' | 'retries') => (): readonly Sample[] =>
    [...counters.all()].map(([operation, counts]) => [{ operation }, counts[of]])
  const operation = ['operation']
  counter(
    registry,
    'vcn_cni_oci_requests_total',
    'Requests to the OCI API, repeats included',
    operation,
    byOperation('calls'),
  )
  counter(registry, 'vcn_cni_oci_throttled_total', 'Answers 429 of the OCI API', operation, byOperation('throttled'))
  counter(
    registry,
    'vcn_cni_oci_retries_total',
    'Repeats of requests to the OCI API',
    operation,
    byOperation('retries'),
  )
  counter(
    registry,
    'vcn_cni_oci_failures_total',
    'Calls of the OCI API that failed in the end',
    ['operation', 'kind'],
    () =>
      [...counters.all()].flatMap(([name, { failures }]) =>
        Object.entries(failures).map(([kind, count]): Sample => [{ operation: name, kind }, count]),
      ),
  )
  gauge(registry, 'vcn_cni_oci_rate_limit', 'Requests a second that are allowed at present', operation, () =>
    [...counters.all().keys()].map((name) => [{ operation: name }, limiter.state(name).perSecond]),
  )
  gauge(registry, 'vcn_cni_oci_waiting', 'Requests that wait for their turn', operation, () =>
    [...counters.all().keys()].map((name) => [{ operation: name }, limiter.state(name).waiting]),
  )
}

function addNodeMetrics(registry: Registry, { leading }: MetricsSources): void {
  gauge(registry, 'vcn_cni_nodes', 'NativePodNetworks by state', ['state'], () =>
    Object.entries(leading()?.totals.nodesByState ?? {}).map(([state, count]) => [{ state }, count]),
  )
  gauge(registry, 'vcn_cni_addresses', 'Addresses of all nodes', ['kind'], () =>
    Object.entries(leading()?.totals.addresses ?? {}).map(([kind, count]) => [{ kind }, count]),
  )
  gauge(registry, 'vcn_cni_orphan_vnics', 'VNICs of this cluster that no node owns', [], () => {
    const now = leading()
    return now === undefined ? [] : [[{}, now.health.orphans.length]]
  })
}

function addHealthMetrics(registry: Registry, { leading }: MetricsSources): void {
  gauge(registry, 'vcn_cni_leader', 'Whether this controller leads', [], () => [[{}, leading() === undefined ? 0 : 1]])
  const queue = (of: 'depth' | 'processing' | 'delayed' | 'retriesTotal') => (): readonly Sample[] => {
    const now = leading()
    return now === undefined ? [] : [[{}, now.health.queue[of]]]
  }
  gauge(registry, 'vcn_cni_workqueue_depth', 'Nodes that wait to be worked on', [], queue('depth'))
  gauge(registry, 'vcn_cni_workqueue_processing', 'Nodes that are worked on', [], queue('processing'))
  gauge(registry, 'vcn_cni_workqueue_delayed', 'Nodes to be looked at later', [], queue('delayed'))
  counter(registry, 'vcn_cni_workqueue_retries_total', 'Turns that ended in a failure', [], queue('retriesTotal'))
  gauge(registry, 'vcn_cni_watch_connected', 'Whether changes of the resource are heard of now', ['resource'], () => {
    const now = leading()
    if (now === undefined) return []
    const { nativePodNetworks, nodes, pods } = now.health
    return Object.entries({ nativePodNetworks, nodes, pods }).map(([resource, { watching }]) => [
      { resource },
      watching ? 1 : 0,
    ])
  })
}
