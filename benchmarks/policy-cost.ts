// What network policies cost the traffic between two pods of a node. README.md tells how it is measured, and why so.
import { execFileSync } from 'node:child_process'
import { parseIpv4 } from '../src/base/ip.ts'
import { unwrap } from '../src/base/result.ts'
import { formatTable } from '../src/cli/table.ts'
import { openNetns } from '../src/linux/netns.ts'
import { type Measured, progress, runBenchmark } from './benchmark.ts'
import { addressOf, type CniPlugin, timeAdds } from './cni-plugin.ts'
import { compile } from './native-programs.ts'
import { startOurNode } from './plugin-nodes.ts'
import { PodNamespaces } from './pod-namespaces.ts'
import type { PlacedPod, PodPair } from './policy-cases.ts'
import { type Lane, lanes, type LaneSamples, measureLanes } from './policy-cost-rounds.ts'
import { atLeast, type Headline } from './report.ts'
import { medianSpeed, pairedSpeedRatio, type Speed } from './throughput-rounds.ts'
import { awaitServers, type PodPath, startServers } from './traffic.ts'
import { Workspace } from './workspace.ts'

const laneTexts: Readonly<Record<Lane, string>> = {
  none: 'no table; connections are tracked',
  nobody: 'our table, nobody selected',
  one: '1 rule',
  hundred: '100 policies for what comes in, the last one matches',
  both: 'the same, and 100 for what goes out',
  rulesOfOne: '1 policy of 100 rules, the last one matches',
  ports: '1 rule, 100 ports',
  blocks: '1 rule, 100 blocks',
  acceptOne: '1 rule behind «established: accept»',
  acceptHundred: '100 policies behind «established: accept»',
}

await runBenchmark({
  name: 'policy-cost',
  options: { rounds: { standard: 15, meaning: 'how often everything is measured' } },
  measure: async ({ rounds }, signal) => {
    using workspace = new Workspace()
    const directory = workspace.path
    const programs = { requestResponse: compile('request-response', directory), directory }
    const timer = compile('exec-timer', directory)
    await using scope = new AsyncDisposableStack()
    const { plugin, node } = scope.use(await startOurNode(directory, { addressCount: 2 }))
    const { sandboxes } = scope.use(await PodNamespaces.make(2, plugin.nodeNetnsPath))
    await timeAdds({ plugin, timer, concurrency: 1, sandboxes }, signal)
    const [client, server] = sandboxes
    if (client === undefined || server === undefined) throw new Error('a path needs two pods')
    const path: PodPath = {
      name: 'policed path',
      clientNetnsPath: client.netnsPath,
      serverNetnsPath: server.netnsPath,
      serverAddress: addressOf(plugin, server),
    }
    scope.use(await startServers(path, programs))
    await awaitServers(path, programs, signal)
    using netns = unwrap(openNetns(node.netnsPath))
    const pods: PodPair = {
      client: placedPod(plugin, addressOf(plugin, client)),
      server: placedPod(plugin, path.serverAddress),
    }
    progress(`measuring ${lanes.length} tables`)
    return report(await measureLanes({ path, programs, pods, netns }, rounds, signal))
  },
})

/** The host's end of a pod's interface is where its route leads. */
function placedPod({ nodeNetnsPath }: CniPlugin, address: string): PlacedPod {
  const argv = [`--net=${nodeNetnsPath}`, 'ip', '-j', 'route', 'get', address]
  const [route] = JSON.parse(execFileSync('nsenter', argv, { encoding: 'utf8' })) as readonly {
    readonly dev?: string
  }[]
  if (route?.dev === undefined) throw new Error(`the node has no route to ${address}`)
  return { address: unwrap(parseIpv4(address)), interfaceName: route.dev }
}

function report(samples: LaneSamples): Measured {
  const speeds = [...samples].map(([lane, taken]) => [lane, medianSpeed(taken)] as const)
  const cells = ({ gigabitsPerSecond, requestsPerSecond, connectionsPerSecond }: Speed): readonly string[] => [
    gigabitsPerSecond.toFixed(2),
    requestsPerSecond.toFixed(0),
    connectionsPerSecond.toFixed(0),
  ]
  return {
    ratios: ratiosOf(samples),
    figures: Object.fromEntries(speeds.flatMap(([lane, speed]) => figuresOf(lane, speed))),
    table: formatTable(
      ['MEDIANS', 'GBIT/S', 'REQUESTS/S', 'REQUESTS/S, A CONNECTION EACH'],
      speeds.map(([lane, speed]) => [laneTexts[lane], ...cells(speed)]),
    ),
  }
}

function ratiosOf(samples: LaneSamples): readonly Headline[] {
  const ratio = (measure: keyof Speed, lane: Lane, to: Lane): number => pairedSpeedRatio(samples, measure, lane, to)
  const throughput = (lane: Lane, to: Lane): number => ratio('gigabitsPerSecond', lane, to)
  const requests = (lane: Lane, to: Lane): number => ratio('requestsPerSecond', lane, to)
  const connections = (lane: Lane, to: Lane): number => ratio('connectionsPerSecond', lane, to)
  const goal = atLeast(0.95)
  const headline = (key: string, meaning: string, value: number): Headline => ({ key, meaning, value })
  return [
    {
      ...headline('throughput100Vs0', 'throughput: 100 rules / nobody selected', throughput('hundred', 'nobody')),
      goal,
    },
    { ...headline('requests100Vs0', 'requests: 100 rules / nobody selected', requests('hundred', 'nobody')), goal },
    headline('throughput1Vs0', 'throughput: 1 rule / nobody selected', throughput('one', 'nobody')),
    headline('requests1Vs0', 'requests: 1 rule / nobody selected', requests('one', 'nobody')),
    headline('requests100BothVs0', 'requests: 100 rules each way / nobody selected', requests('both', 'nobody')),
    headline(
      'requests100OfOneVs0',
      'requests: 1 policy of 100 rules / nobody selected',
      requests('rulesOfOne', 'nobody'),
    ),
    headline('requests100PortsVs0', 'requests: 100 ports / nobody selected', requests('ports', 'nobody')),
    headline('requests100BlocksVs0', 'requests: 100 blocks / nobody selected', requests('blocks', 'nobody')),
    headline('connections100Vs0', 'connections: 100 rules / nobody selected', connections('hundred', 'nobody')),
    headline(
      'requestsVsAcceptEstablished',
      'requests: 100 rules / the same behind «established: accept»',
      requests('hundred', 'acceptHundred'),
    ),
    headline(
      'requests1VsAcceptEstablished',
      'requests: 1 rule / the same behind «established: accept»',
      requests('one', 'acceptOne'),
    ),
    headline('requestsTableVsNone', 'requests: our table, nobody selected / no table', requests('nobody', 'none')),
    headline('throughputTableVsNone', 'throughput: likewise', throughput('nobody', 'none')),
  ]
}

function figuresOf(lane: Lane, speed: Speed): readonly (readonly [string, number])[] {
  return [
    [`${lane}GigabitsPerSecond`, speed.gigabitsPerSecond],
    [`${lane}RequestsPerSecond`, speed.requestsPerSecond],
    [`${lane}ConnectionsPerSecond`, speed.connectionsPerSecond],
  ]
}
