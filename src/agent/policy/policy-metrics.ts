import type { RequestListener } from 'node:http'
import { exponentialBuckets } from 'prom-client/lib/bucketGenerators.js'
import Counter from 'prom-client/lib/counter.js'
import Histogram from 'prom-client/lib/histogram.js'
import Registry from 'prom-client/lib/registry.js'
import { parseObjectKey } from '../../kube/object.ts'
import { directions } from '../../policy/policy-table.ts'
import type { DropReason } from '../../policy/rule-names.ts'
import { registryAnswer } from '../http/registry-answer.ts'
import { addGauge } from '../http/sampled-gauge.ts'
import { DropCounts, type InterfaceDrops, type PodDrops } from './drop-counts.ts'
import type { PolicyFigures } from './policy-figures.ts'
import type { PolicyObserver } from './policy-observer.ts'

export interface PolicyMetricsSources {
  readonly figures: () => PolicyFigures
  /** Of every interface, from the kernel; undefined: it does not tell now. */
  readonly drops: (reason: DropReason) => Promise<readonly InterfaceDrops[] | undefined>
  /** `namespace/name` */
  readonly podOf: (ifname: string) => string | undefined
}

export interface PolicyMetrics {
  readonly observer: PolicyObserver
  readonly answer: RequestListener
}

/** 1 ms to 16 s. */
const buckets = exponentialBuckets(0.001, 2, 15)
const fullOrPartial = (how: string): 'full' | 'partial' => (how === 'load' ? 'full' : 'partial')

/** `/metrics` of a policy engine. Not imported before it is asked for: the metrics library costs memory on every node. */
export function policyMetrics(sources: PolicyMetricsSources): PolicyMetrics {
  const registry = new Registry()
  const drops = new DropCounts()
  addFigures(registry, sources.figures)
  addDrops(registry, drops, sources)
  return { observer: addObserver(registry, drops), answer: registryAnswer(registry) }
}

function addObserver(registry: Registry, drops: DropCounts): PolicyObserver {
  const histogram = (name: string, help: string, labelNames: readonly string[] = []): Histogram =>
    new Histogram({ name, help, buckets, labelNames: [...labelNames], registers: [registry] })
  const syncs = histogram(
    'vcn_policy_sync_duration_seconds',
    'Time of a transaction that brought the rules into the kernel: all of them (full) or what changed (partial)',
    ['kind'],
  )
  for (const kind of ['full', 'partial']) syncs.zero({ kind })
  const failures = new Counter({
    name: 'vcn_policy_sync_failures_total',
    help: 'Transactions that the kernel refused, or that somebody else was in the way of',
    registers: [registry],
  })
  const programming = histogram(
    'vcn_policy_programming_duration_seconds',
    'Time from the API server’s word of a change to the kernel’s having it',
  )
  const waits = histogram('vcn_policy_add_wait_duration_seconds', 'How long a CNI ADD waited for its pod’s isolation')
  const timeouts = new Counter({
    name: 'vcn_policy_add_timeouts_total',
    help: 'CNI ADDs that failed because their pod’s isolation was not in the kernel in time',
    registers: [registry],
  })
  return {
    synced: ({ how, elapsedMs }) => {
      if (how === 'load') drops.restarted()
      if (how !== 'unchanged') syncs.observe({ kind: fullOrPartial(how) }, elapsedMs / 1000)
    },
    failed: () => failures.inc(),
    programmed: (latencyMs) => programming.observe(latencyMs / 1000),
    waited: (waitMs, isInTime) => {
      waits.observe(waitMs / 1000)
      if (!isInTime) timeouts.inc()
    },
    left: (ifname) => drops.left(ifname),
  }
}

function addDrops(registry: Registry, counts: DropCounts, { drops, podOf }: PolicyMetricsSources): void {
  const told = new Map<DropReason, readonly PodDrops[]>()
  const read = async (reason: DropReason): Promise<readonly PodDrops[]> => {
    const now = await drops(reason)
    // What cannot be read now goes on as it was.
    if (now !== undefined) told.set(reason, counts.read(reason, now, podOf))
    return told.get(reason) ?? []
  }
  const dropped: Counter = new Counter({
    name: 'vcn_policy_dropped_packets_total',
    help: 'Packets that the network policies of a pod of this node denied, by the direction whose policies did',
    labelNames: ['namespace', 'pod', 'direction'],
    registers: [registry],
    collect: async () => {
      const rows: Sample[] = []
      for (const direction of directions) {
        for (const { pod, packets } of await read(direction)) rows.push([{ ...podLabels(pod), direction }, packets])
      }
      replace(dropped, rows)
    },
  })
  const spoofed: Counter = new Counter({
    name: 'vcn_policy_spoofed_packets_total',
    help: 'Packets of a pod of this node that were dropped because their source address was not its own',
    labelNames: ['namespace', 'pod'],
    registers: [registry],
    collect: async () => {
      replace(
        spoofed,
        (await read('spoofed')).map(({ pod, packets }) => [podLabels(pod), packets]),
      )
    },
  })
}

type Sample = readonly [labels: Record<string, string>, packets: number]

/** Without waiting in between: somebody else may ask at the same time. */
function replace(counter: Counter, samples: readonly Sample[]): void {
  counter.reset()
  for (const [labels, packets] of samples) counter.inc(labels, packets)
}

function podLabels(pod: string | undefined): Record<'namespace' | 'pod', string> {
  const { namespace = '', name } = pod === undefined ? { name: '' } : parseObjectKey(pod)
  return { namespace, pod: name }
}

function addFigures(registry: Registry, figures: () => PolicyFigures): void {
  for (const [name, help, field] of plainFigures) {
    addGauge(registry, { name, help, read: () => [[{}, figures()[field]]] })
  }
  addGauge(registry, {
    name: 'vcn_policy_last_sync_timestamp_seconds',
    help: 'When the kernel last had all that the API server told; 0: never',
    read: () => [[{}, figures().lastSyncMs / 1000]],
  })
}

const plainFigures: readonly (readonly [name: string, help: string, field: keyof PolicyFigures])[] = [
  ['vcn_policy_chains', 'Chains in the kernel’s table', 'chains'],
  ['vcn_policy_rules', 'Rules in the kernel’s table', 'rules'],
  ['vcn_policy_sets', 'Sets and maps in the kernel’s table', 'sets'],
  ['vcn_policy_set_elements', 'Elements of these sets and maps, without what the kernel learns', 'elements'],
  ['vcn_policy_pods', 'Pods of this node on its pod network', 'pods'],
  ['vcn_policy_selected_pods', 'Those that a policy of any kind selects', 'selectedPods'],
  ['vcn_policy_policies', 'NetworkPolicies and ClusterNetworkPolicies in the cluster', 'policies'],
  ['vcn_policy_problem_policies', 'Policies of which something cannot be read, and fails closed', 'problemPolicies'],
  [
    'vcn_policy_malformed_objects',
    'Objects that do not parse; their last versions that did are used',
    'malformedObjects',
  ],
  ['vcn_policy_pending_objects', 'Changed objects that are not in the rules yet', 'pendingObjects'],
  [
    'vcn_policy_stale_resources',
    'Resources that are not heard of any more; their last state is used',
    'staleResources',
  ],
]
