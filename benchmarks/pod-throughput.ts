// What two pods of a node get out of the path between them. README.md tells how it is measured, and why so.
import { randomBytes } from 'node:crypto'
import { formatTable } from '../src/cli/table.ts'
import { type Measured, progress, runBenchmark } from './benchmark.ts'
import { addressOf, type CniPlugin, timeAdds } from './cni-plugin.ts'
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

const spareAddresses = 10

await runBenchmark({
  name: 'pod-throughput',
  options: {
    rounds: { standard: 12, meaning: 'how often everything is measured' },
    pods: { standard: 250, meaning: 'pods on the crowded node, 2 to 900' },
  },
  measure: async ({ rounds, pods }, signal) => {
    using workspace = new Workspace()
    const directory = workspace.path
    const programs = { requestResponse: compile('request-response', directory), directory }
    const timer = compile('exec-timer', directory)
    await using scope = new AsyncDisposableStack()
    progress(`starting four nodes; one of them gets ${pods} pods`)
    const ours = scope.use(await startOurNode(directory, pods + spareAddresses))
    const crowded = scope.use(await startOurNode(directory, pods + spareAddresses))
    const ptp = scope.use(startPtpNode(directory))
    const attach = (plugin: CniPlugin, count: number): Promise<PodPath> =>
      attachPods({ plugin, timer, count }, scope, signal)
    const paths: Readonly<Record<Contestant, PodPath>> = {
      ours: await attach(ours.plugin, 2),
      crowded: await attach(crowded.plugin, pods),
      ptp: await attach(ptp.plugin, 2),
      routed: scope.use(makeRoutedPath()),
    }
    for (const contestant of contestants) {
      scope.use(await startServers(paths[contestant], programs))
      await awaitServers(paths[contestant], programs, signal)
    }
    const samples = await measureRounds(paths, programs, rounds, signal)
    return report(samples, paths, processMemory(crowded.node.agentPid))
  },
})

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
  const prefix = `bench-${randomBytes(4).toString('hex')}`
  const { paths } = scope.use(await PodNamespaces.make(prefix, count, plugin.nodeNetnsPath))
  const sandboxes = paths.map((netnsPath, index) => ({ netnsPath, containerId: `${prefix}-${index}` }))
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
  { rssMiB, anonymousMiB }: ProcessMemory,
): Measured {
  const speeds: Readonly<Record<Contestant, Speed>> = {
    ours: medianSpeed(samples.ours),
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
    ['agentRssMiB', rssMiB],
    ['agentAnonymousMiB', anonymousMiB],
  ])
  const memory = { key: 'agentRssMiB', meaning: 'memory of the crowded node’s agent, MiB', value: rssMiB }
  return { ratios: ratiosOf(speeds), goals: [{ ...memory, goal: atMost(100) }], figures, table }
}

function ratiosOf({ ours, crowded, ptp, routed }: Readonly<Record<Contestant, Speed>>): readonly Headline[] {
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
      value: throughput(crowded, ours),
      goal: atLeast(0.95),
    },
    {
      key: 'requests250Vs2',
      meaning: 'requests: crowded node / node with 2 pods',
      value: requests(crowded, ours),
      goal: atLeast(0.95),
    },
  ]
}

function figuresOf(contestant: Contestant, speed: Speed): readonly (readonly [string, number])[] {
  return [
    [`${contestant}GigabitsPerSecond`, speed.gigabitsPerSecond],
    [`${contestant}RequestsPerSecond`, speed.requestsPerSecond],
    [`${contestant}ConnectionsPerSecond`, speed.connectionsPerSecond],
  ]
}
