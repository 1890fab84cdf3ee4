// What a virtual address costs when a connection is made: ours, iptables-legacy's way, and none. README.md tells how it is measured.
import { unwrap } from '../src/base/result.ts'
import { formatTable } from '../src/cli/table.ts'
import { Libnftables } from '../src/nftables/libnftables.ts'
import { type Measured, progress, runBenchmark } from './benchmark.ts'
import { connectWhileFlapping, type Flaps } from './connect-flaps.ts'
import { ConnectPath } from './connect-path.ts'
import {
  failuresOf,
  type Lane,
  type LaneSamples,
  type LaneSummary,
  pairedRatio,
  summariseLane,
  timeConnects,
} from './connect-rounds.ts'
import { loadLegacyRules } from './legacy-rules.ts'
import { compile } from './native-programs.ts'
import { onProcessor } from './placement.ts'
import { atMost, type Headline } from './report.ts'
import { ServiceLayout } from './service-layout.ts'
import { endpointAddress, endpointPort, serviceAddress, serviceObjects, servicePort } from './service-objects.ts'
import { Workspace } from './workspace.ts'

const few = 10
const many = 10_000
const most = 30_000
const endpoints = 2
/** Services that are asked, of each size. */
const asked = 10
const connectsOfRound = 100

/** Of one lane. */
interface Result {
  readonly name: string
  readonly samples: LaneSamples
  readonly summary: LaneSummary
}

await runBenchmark({
  name: 'service-connect',
  options: {
    seconds: { standard: 40, meaning: 'of connecting over all paths in turn' },
    flapSeconds: { standard: 15, meaning: 'of connecting while 1,000 services flap' },
  },
  measure: async ({ seconds, flapSeconds }, signal) => {
    using workspace = new Workspace()
    const program = compile('connect-timer', workspace.path)
    const library = unwrap(Libnftables.load())
    await using scope = new AsyncDisposableStack()
    const lanes = await makeLanes(library, scope, signal)
    const timer = { program, placement: onProcessor(1), connects: connectsOfRound }
    progress('connecting')
    await timeConnects(lanes, { ...timer, durationMs: 1000 }, signal)
    const samples = await timeConnects(lanes, { ...timer, durationMs: seconds * 1000 }, signal)
    progress('connecting while endpoints flap')
    const flapTimer = { ...timer, placement: [], durationMs: flapSeconds * 1000 }
    const flaps = await connectWhileFlapping(library, flapTimer, signal)
    return report(
      samples.map((lane, index) => ({ name: lanes[index]?.name ?? '', samples: lane, summary: summariseLane(lane) })),
      flaps,
    )
  },
})

async function makeLanes(
  library: Libnftables,
  scope: AsyncDisposableStack,
  signal: AbortSignal,
): Promise<readonly Lane[]> {
  const direct = { first: endpointAddress(0), count: asked * endpoints, step: 1, port: endpointPort }
  const tracking = scope.use(new ConnectPath())
  tracking.trackConnections()
  const lanes: Lane[] = [
    { name: 'untracked', path: scope.use(new ConnectPath()), ...direct },
    { name: 'direct', path: tracking, ...direct },
    { name: 'direct all', path: tracking, ...direct, count: most * endpoints },
  ]
  for (const count of [few, many, most]) {
    progress(`${count} services in both layouts`)
    const ours = scope.use(new ConnectPath())
    await scope.use(new ServiceLayout(library, ours.node.fd)).apply(serviceObjects(0, count, endpoints), signal)
    const legacy = scope.use(new ConnectPath())
    await loadLegacyRules(legacy.node, count, signal)
    lanes.push({ name: `ours ${count}`, path: ours, ...spread(count) })
    lanes.push({ name: `legacy ${count}`, path: legacy, ...spread(count) })
    if (count !== most) continue
    lanes.push(
      { name: `ours all ${count}`, path: ours, ...spread(count), count, step: 1 },
      { name: 'past ours', path: ours, ...direct },
      { name: `legacy first of ${count}`, path: legacy, ...spread(count), count: 1 },
      { name: `legacy last of ${count}`, path: legacy, ...spread(count), first: serviceAddress(count - 1), count: 1 },
    )
  }
  return lanes
}

/** From the first service to the last; as many with few services as with many, or caches would be what is compared. */
function spread(count: number): Pick<Lane, 'first' | 'count' | 'step' | 'port'> {
  return { first: serviceAddress(0), count: asked, step: Math.floor((count - 1) / (asked - 1)), port: servicePort }
}

function report(results: readonly Result[], flaps: Flaps): Measured {
  const of = (name: string): Result => {
    const result = results.find((one) => one.name === name)
    if (result === undefined) throw new Error(`${name} was not measured`)
    return result
  }
  const [ours, direct] = [of(`ours ${most}`), of('direct')]
  const ratio = (key: string, meaning: string, to: Result): Headline => ({
    key,
    meaning,
    value: pairedRatio(ours.samples, to.samples),
  })
  const failedConnects = results.reduce((sum, { samples }) => sum + failuresOf(samples), 0) + flaps.failed
  return {
    ratios: [
      { ...ratio('p50At30kVs10', 'p50 of a connect at 30,000 services / at 10', of(`ours ${few}`)), goal: atMost(1.1) },
      { ...ratio('p50VsDirect', 'the same / to the endpoint, on a node without proxy', direct), goal: atMost(1.2) },
      ratio('p50VsUntracked', 'the same / and without connection tracking', of('untracked')),
      ratio('p50VsPastProxy', 'the same / to the endpoint, past our rules', of('past ours')),
      ratio('p50VsLegacy30k', 'the same / iptables-legacy at 30,000', of(`legacy ${most}`)),
    ],
    goals: [{ key: 'failedConnects', meaning: 'failed connects', value: failedConnects, goal: atMost(0) }],
    figures: {
      failedConnects,
      flapConnects: flaps.connects,
      flapTransactions: flaps.transactions,
      ...Object.fromEntries(results.flatMap(laneFigures)),
    },
    table: [
      formatTable(
        ['CONNECTING, µs', 'P50', 'P99', 'CONNECTS', 'FAILED'],
        results.map(({ name, samples, summary: { p50Us, p99Us, count } }) => {
          return [name, p50Us.toFixed(2), p99Us.toFixed(2), String(count), describeFailures(samples.failures)]
        }),
      ),
      `while 1,000 services flapped in ${flaps.transactions} transactions: ${flaps.connects} connects, ${flaps.failed} failed`,
    ].join('\n'),
  }
}

/** `legacy10000P50Us`, … */
function laneFigures({ name, summary: { p50Us, p99Us } }: Result): readonly (readonly [string, number])[] {
  const key = name.replaceAll(/ (\w)/g, (_, letter: string) => letter.toUpperCase())
  return [
    [`${key}P50Us`, p50Us],
    [`${key}P99Us`, p99Us],
  ]
}

/** By error number (errno(3)). */
function describeFailures(failures: LaneSamples['failures']): string {
  return [...failures].map(([errno, count]) => `${count} × errno ${errno}`).join(', ') || '0'
}
