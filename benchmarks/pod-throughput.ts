// What two pods of a node get out of the path between them. README.md tells how it is measured, and why so.
import { formatTable } from '../src/cli/table.ts'
import { type Measured, progress, runBenchmark } from './benchmark.ts'
import { addressOf, type CniPlugin, timeAdds, timeDels } from './cni-plugin.ts'
import { compile } from './native-programs.ts'
import { startOurNode, startPtpNode } from './plugin-nodes.ts'
import { PodNamespaces } from './pod-namespaces.ts'
import { type ProcessMemory, processMemory } from './process-memory.ts'
import { atLeast, atMost, type Headline } from './report.ts'
import { makeRoutedPath } from './routed-path.ts'
import {
  type Contestant,
  contestants,
  measureRounds,
  medianSpeed,
  type Samples,
  type Speed,
} from './throughput-rounds.ts'
import { awaitServers, type PodPath, startServers } from './traffic.ts'
import { Workspace } from './workspace.ts'

const churn = { batches: 5, podsOfABatch: 100 } as const
/** None is given out twice while it cools down. */
const spareAddresses = churn.batches * churn.podsOfABatch + 10
const mostPods = 500

await runBenchmark({
  name: 'pod-throughput',
  options: {
    rounds: { standard: 15, meaning: 'how often everything is measured' },
    pods: { standard: 250, meaning: 'pods on the crowded node, 2 to 500' },
  },
  measure: async ({ rounds, pods }, signal) => {
    if (pods < 2 || pods > mostPods) throw new Error(`--pods: ${pods} is not between 2 and ${mostPods}`)
    using workspace = new Workspace()
    const directory = workspace.path
    const programs = { requestResponse: compile('request-response', directory), directory }
    const timer = compile('exec-timer', directory)
    await using scope = new AsyncDisposableStack()
    progress(`starting five nodes; one of them gets ${pods} pods`)
    const addressCount = pods + spareAddresses
    const ours = scope.use(await startOurNode(directory, { addressCount, nodePortSupport: false }))
    const tracked = scope.use(await startOurNode(directory, { addressCount }))
    const crowded = scope.use(await startOurNode(directory, { addressCount }))
    const ptp = scope.use(startPtpNode(directory))
    const attach = (plugin: CniPlugin, count: number): Promise<PodPath> =>
      attachPods({ plugin, timer, count }, scope, signal)
    const paths: Readonly<Record<Contestant, PodPath>> = {
      ours: await attach(ours.plugin, 2),
      tracked: await attach(tracked.plugin, 2),
      crowded: await attach(crowded.plugin, pods),
      ptp: await attach(ptp.plugin, 2),
      routed: scope.use(makeRoutedPath()),
    }
    for (const contestant of contestants) {
      scope.use(await startServers(paths[contestant], programs))
      await awaitServers(paths[contestant], programs, signal)
    }
    const samples = await measureRounds(paths, programs, rounds, signal)
    const memory = processMemory(crowded.node.agentPid)
    progress(`${churn.batches * churn.podsOfABatch} pods come and go on the crowded node`)
    await comeAndGo(crowded.plugin, timer, signal)
    return report(samples, paths, { memory, memoryLater: processMemory(crowded.node.agentPid) })
  },
})

/** What a node's memory looks like after a while: garbage of past requests, and not only what the pods need. */
async function comeAndGo(plugin: CniPlugin, timer: string, signal: AbortSignal): Promise<void> {
  for (let batch = 0; batch < churn.batches; batch++) {
    await using pods = await PodNamespaces.make(churn.podsOfABatch, plugin.nodeNetnsPath)
    const calls = { plugin, timer, concurrency: 8, sandboxes: pods.sandboxes }
    await timeAdds(calls, signal)
    await timeDels(calls, signal)
  }
}

interface PodsToAttach {
  readonly plugin: CniPlugin
  readonly timer: string
  readonly count: number
}

/** The path between the first two of the pods. The scope takes their namespaces away. */
async function attachPods(
  { plugin, timer, count }: PodsToAttach,
  scope: AsyncDisposableStack,
  signal: AbortSignal,
): Promise<PodPath> {
  const { sandboxes } = scope.use(await PodNamespaces.make(count, plugin.nodeNetnsPath))
  await timeAdds({ plugin, timer, concurrency: 8, sandboxes }, signal)
  const [client, server] = sandboxes
  if (client === undefined || server === undefined) throw new Error(`a path needs two pods, not ${count}`)
  return {
    name: `${plugin.name}, ${count} pods`,
    clientNetnsPath: client.netnsPath,
    serverNetnsPath: server.netnsPath,
    serverAddress: addressOf(plugin, server),
  }
}

function report(
  samples: Samples,
  paths: Readonly<Record<Contestant, PodPath>>,
  { memory, memoryLater }: { readonly memory: ProcessMemory; readonly memoryLater: ProcessMemory },
): Measured {
  const speeds: Readonly<Record<Contestant, Speed>> = {
    ours: medianSpeed(samples.ours),
    tracked: medianSpeed(samples.tracked),
    crowded: medianSpeed(samples.crowded),
    ptp: medianSpeed(samples.ptp),
    routed: medianSpeed(samples.routed),
  }
  const table = formatTable(
    ['MEDIANS', 'GBIT/S', 'REQUESTS/S', 'REQUESTS/S, A CONNECTION EACH'],
    contestants.map((contestant) => {
      const { gigabitsPerSecond, requestsPerSecond, connectionsPerSecond } = speeds[contestant]
      return [
        paths[contestant].name,
        gigabitsPerSecond.toFixed(2),
        requestsPerSecond.toFixed(0),
        connectionsPerSecond.toFixed(0),
      ]
    }),
  )
  const figures = Object.fromEntries([
    ...contestants.flatMap((contestant) => figuresOf(contestant, speeds[contestant])),
    ['agentRssMiB', memory.rssMiB],
    ['agentAnonymousMiB', memory.anonymousMiB],
    ['agentRssAfterChurnMiB', memoryLater.rssMiB],
  ])
  const goals: readonly Headline[] = [
    { key: 'agentRssMiB', meaning: 'memory of the crowded node’s agent, MiB', value: memory.rssMiB, goal: atMost(100) },
    {
      key: 'agentRssAfterChurnMiB',
      meaning: `the same after ${churn.batches * churn.podsOfABatch} more pods came and went`,
      value: memoryLater.rssMiB,
      goal: atMost(100),
    },
  ]
  return { ratios: ratiosOf(speeds), goals, figures, table }
}

function ratiosOf({ ours, tracked, crowded, ptp, routed }: Readonly<Record<Contestant, Speed>>): readonly Headline[] {
  const ratio = (measure: keyof Speed, one: Speed, other: Speed): number => one[measure] / other[measure]
  const throughput = (one: Speed, other: Speed): number => ratio('gigabitsPerSecond', one, other)
  const requests = (one: Speed, other: Speed): number => ratio('requestsPerSecond', one, other)
  return [
    {
      key: 'throughputVsPtp',
      meaning: 'throughput: ours / ptp’s',
      value: throughput(ours, ptp),
      goal: atLeast(1),
    },
    { key: 'requestsVsPtp', meaning: 'requests: ours / ptp’s', value: requests(ours, ptp), goal: atLeast(1) },
    {
      key: 'throughputVsRouted',
      meaning: 'throughput: ours / the bare routed path’s',
      value: throughput(ours, routed),
      goal: atLeast(0.95),
    },
    {
      key: 'throughput250Vs2',
      meaning: 'throughput: crowded node / node with 2 pods',
      value: throughput(crowded, tracked),
      goal: atLeast(0.95),
    },
    {
      key: 'requests250Vs2',
      meaning: 'requests: crowded node / node with 2 pods',
      value: requests(crowded, tracked),
      goal: atLeast(0.95),
    },
    { key: 'requestsTrackedVsOurs', meaning: 'requests: with / without tracking', value: requests(tracked, ours) },
  ]
}

function figuresOf(contestant: Contestant, speed: Speed): readonly (readonly [string, number])[] {
  return [
    [`${contestant}GigabitsPerSecond`, speed.gigabitsPerSecond],
    [`${contestant}RequestsPerSecond`, speed.requestsPerSecond],
    [`${contestant}ConnectionsPerSecond`, speed.connectionsPerSecond],
  ]
}
