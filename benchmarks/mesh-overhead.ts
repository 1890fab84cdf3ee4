// What sidecars cost the traffic between two pods, and vcn-mesh an ADD. README.md tells how it is measured, and why so.
import { formatTable } from '../src/cli/table.ts'
import { type Measured, progress, runBenchmark } from './benchmark.ts'
import { type AddSamples, measureAdds, type PodKind, podKinds } from './mesh-adds.ts'
import { measureMeshLanes, type MeshLane, type MeshSamples, meshLanes } from './mesh-rounds.ts'
import { compile } from './native-programs.ts'
import { startMeshNode } from './plugin-nodes.ts'
import { atMost, type Headline } from './report.ts'
import { median, summarise } from './statistics.ts'
import { medianSpeed, pairedSpeedRatio, type Speed } from './throughput-rounds.ts'
import { Workspace } from './workspace.ts'

/** None is given out twice while it cools down. */
const addressCount = 900
/** Of three kinds of pods in a round, each of which cools down for 5 s. */
const mostOperations = 200

const laneTexts: Readonly<Record<MeshLane, string>> = {
  direct: 'no sidecars',
  haproxy: 'HAProxy in both pods',
  ours: 'vcnctl lab sidecar in both pods',
  oursTls: 'the same, mutual TLS between them',
}
const kindTexts: Readonly<Record<PodKind, string>> = {
  plain: 'a pod without a sidecar',
  redirected: 'redirected for Istio',
  transparent: 'likewise by TPROXY, with DNS and 200 ports',
}

const measures = [
  ['requests', 'requestsPerSecond'],
  ['connections', 'connectionsPerSecond'],
  ['throughput', 'gigabitsPerSecond'],
] as const

await runBenchmark({
  name: 'mesh-overhead',
  options: {
    rounds: { standard: 10, meaning: 'how often everything is measured' },
    operations: { standard: 100, meaning: `ADDs of each kind of pod in a round, at most ${mostOperations}` },
  },
  measure: async ({ rounds, operations }, signal) => {
    if (operations > mostOperations) throw new Error(`--operations: ${operations} is more than ${mostOperations}`)
    using workspace = new Workspace()
    const directory = workspace.path
    const programs = { requestResponse: compile('request-response', directory), directory }
    const timer = compile('exec-timer', directory)
    progress('starting a node')
    await using place = await startMeshNode(directory, addressCount)
    const adds = await measureAdds(place, { timer, rounds, operations }, signal)
    const samples = await measureMeshLanes(place, { programs, timer, rounds }, signal)
    return report(samples, adds)
  },
})

function report(samples: MeshSamples, adds: Readonly<Record<PodKind, AddSamples>>): Measured {
  const speeds = meshLanes.map((lane) => [lane, medianSpeed(samples.get(lane) ?? [])] as const)
  const cells = ({ gigabitsPerSecond, requestsPerSecond, connectionsPerSecond }: Speed): readonly string[] => [
    gigabitsPerSecond.toFixed(2),
    requestsPerSecond.toFixed(0),
    connectionsPerSecond.toFixed(0),
  ]
  const tables = [
    formatTable(
      ['TRAFFIC, MEDIANS', 'GBIT/S', 'REQUESTS/S', 'REQUESTS/S, A CONNECTION EACH'],
      speeds.map(([lane, speed]) => [laneTexts[lane], ...cells(speed)]),
    ),
    formatTable(
      ['ADD, MILLISECONDS', 'VCN-CNI: MEDIAN', 'VCN-MESH: MEDIAN', 'P99', 'ITS AGENT’S PART'],
      podKinds.map((kind) => [kindTexts[kind], ...addCells(adds[kind])]),
    ),
  ]
  const addExtraMs = median(adds.redirected.meshMs)
  return {
    ratios: ratiosOf(samples),
    goals: [{ key: 'addExtraMs', meaning: 'vcn-mesh: milliseconds of an ADD', value: addExtraMs, goal: atMost(2) }],
    figures: {
      addExtraMs,
      addExtraP99Ms: summarise(adds.redirected.meshMs).p99Ms,
      addExtraAgentMs: median(adds.redirected.agentMs),
      addExtraPlainMs: median(adds.plain.meshMs),
      addExtraTransparentMs: median(adds.transparent.meshMs),
      addMs: median(podKinds.flatMap((kind) => adds[kind].cniMs)),
      ...Object.fromEntries(speeds.flatMap(([lane, speed]) => figuresOf(lane, speed))),
    },
    table: tables.join('\n'),
  }
}

function addCells({ cniMs, meshMs, agentMs }: AddSamples): readonly string[] {
  const { medianMs, p99Ms } = summarise(meshMs)
  return [median(cniMs), medianMs, p99Ms, median(agentMs)].map((value) => value.toFixed(2))
}

function ratiosOf(samples: MeshSamples): readonly Headline[] {
  const pairs = [
    ['OursVsHaproxy', 'ours / HAProxy’s', 'ours', 'haproxy'],
    ['TlsVsPlain', 'ours, with mutual TLS / without', 'oursTls', 'ours'],
    ['HaproxyVsDirect', 'HAProxy’s / without sidecars', 'haproxy', 'direct'],
  ] as const
  return pairs.flatMap(([suffix, text, lane, to]) =>
    measures.map(([name, measure]): Headline => ({
      key: `${name}${suffix}`,
      meaning: `${name}: ${text}`,
      value: pairedSpeedRatio(samples, measure, lane, to),
    })),
  )
}

function figuresOf(lane: MeshLane, speed: Speed): readonly (readonly [string, number])[] {
  return [
    [`${lane}GigabitsPerSecond`, speed.gigabitsPerSecond],
    [`${lane}RequestsPerSecond`, speed.requestsPerSecond],
    [`${lane}ConnectionsPerSecond`, speed.connectionsPerSecond],
  ]
}
