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

interface Metric {
  readonly type: 'gauge' | 'counter'
  readonly name: string
  readonly help: string
  readonly labelNames?: readonly string[]
  readonly samples: () => readonly Sample[]
}

function register(registry: Registry, { type, name, help, labelNames = [], samples }: Metric): void {
  const collect = (): void => {
    made.reset()
    for (const [labels, value] of samples()) made.inc({ ...labels }, value)
  }
  const options = { name, help, labelNames: [...labelNames], registers: [registry], collect }
  const made: Gauge | Counter = type === 'gauge' ? new Gauge(options) : new Counter(options)
}

function addCallMetrics(registry: Registry, { counters, limiter }: MetricsSources): void {
  const labelNames = ['operation']
  const counted = (name: string, help: string, of: 'calls' | 'throttled' | 'retries'): void => {
    const samples = (): readonly Sample[] =>
      [...counters.all()].map(([operation, counts]) => [{ operation }, counts[of]])
    register(registry, { type: 'counter', name, help, labelNames, samples })
  }
  counted('vcn_cni_oci_requests_total', 'Requests to the OCI API, repeats included', 'calls')
  counted('vcn_cni_oci_throttled_total', 'Answers 429 of the OCI API', 'throttled')
  counted('vcn_cni_oci_retries_total', 'Repeats of requests to the OCI API', 'retries')
  register(registry, {
    type: 'counter',
    name: 'vcn_cni_oci_failures_total',
    help: 'Calls of the OCI API that failed in the end',
    labelNames: ['operation', 'kind'],
    samples: () =>
      [...counters.all()].flatMap(([operation, { failures }]) =>
        Object.entries(failures).map(([kind, count]): Sample => [{ operation, kind }, count]),
      ),
  })
  const limited = (name: string, help: string, of: 'perSecond' | 'waiting'): void => {
    const samples = (): readonly Sample[] =>
      [...counters.all().keys()].map((operation) => [{ operation }, limiter.state(operation)[of]])
    register(registry, { type: 'gauge', name, help, labelNames, samples })
  }
  limited('vcn_cni_oci_rate_limit', 'Requests a second that are allowed at present', 'perSecond')
  limited('vcn_cni_oci_waiting', 'Requests that wait for their turn', 'waiting')
}

function addNodeMetrics(registry: Registry, { leading }: MetricsSources): void {
  const summed = (name: string, help: string, label: string, of: keyof NodeTotals): void => {
    const samples = (): readonly Sample[] =>
      Object.entries<number>(leading()?.totals[of] ?? {}).map(([key, count]) => [{ [label]: key }, count])
    register(registry, { type: 'gauge', name, help, labelNames: [label], samples })
  }
  summed('vcn_cni_nodes', 'NativePodNetworks by state', 'state', 'nodesByState')
  summed('vcn_cni_addresses', 'Addresses of all nodes', 'kind', 'addresses')
}

function addHealthMetrics(registry: Registry, { leading }: MetricsSources): void {
  const told = (type: Metric['type'], name: string, help: string, of: (health: ControllerHealth) => number): void => {
    const samples = (): readonly Sample[] => {
      const now = leading()
      return now === undefined ? [] : [[{}, of(now.health)]]
    }
    register(registry, { type, name, help, samples })
  }
  told('gauge', 'vcn_cni_orphan_vnics', 'VNICs of this cluster that no node owns', ({ orphans }) => orphans.length)
  told('gauge', 'vcn_cni_workqueue_depth', 'Nodes that wait to be worked on', ({ queue }) => queue.depth)
  told('gauge', 'vcn_cni_workqueue_processing', 'Nodes that are worked on', ({ queue }) => queue.processing)
  told('gauge', 'vcn_cni_workqueue_delayed', 'Nodes to be looked at later', ({ queue }) => queue.delayed)
  told('counter', 'vcn_cni_workqueue_retries_total', 'Turns that ended in a failure', ({ queue }) => queue.retriesTotal)
  register(registry, {
    type: 'gauge',
    name: 'vcn_cni_leader',
    help: 'Whether this controller leads',
    samples: () => [[{}, leading() === undefined ? 0 : 1]],
  })
  register(registry, {
    type: 'gauge',
    name: 'vcn_cni_watch_connected',
    help: 'Whether changes of the resource are heard of now',
    labelNames: ['resource'],
    samples: () => {
      const now = leading()
      if (now === undefined) return []
      const { nativePodNetworks, nodes, pods } = now.health
      return Object.entries({ nativePodNetworks, nodes, pods }).map(([resource, { watching }]) => [
        { resource },
        watching ? 1 : 0,
      ])
    },
  })
}
