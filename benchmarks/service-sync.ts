// How long it takes from Services to rules in the kernel: our layout beside a chain for each service, and the agent's proxy
// from a watch's event on. README.md tells how it is measured, and why so.
import { unwrap } from '../src/base/result.ts'
import { formatTable } from '../src/cli/table.ts'
import { Libnftables } from '../src/nftables/libnftables.ts'
import { type Measured, progress, runBenchmark } from './benchmark.ts'
import { placeAsMeasured } from './placement.ts'
import { atLeast, atMost } from './report.ts'
import { type LayoutFigures, measureOurs, measurePerService, type OurFigures, type Size } from './service-rounds.ts'
import { summarise, type Summary } from './statistics.ts'
import { measureWatched, type WatchedFigures } from './watched-services.ts'
import { Workspace } from './workspace.ts'

const main: Size = { services: 10_000, endpoints: 2 }
const sizes: readonly Size[] = [
  { services: 1000, endpoints: 2 },
  { services: 5000, endpoints: 2 },
  main,
  { services: 20_000, endpoints: 2 },
  { services: 5000, endpoints: 50 },
]
/** Each way; a flip of 1,000 at 20,000 services takes seconds. */
const perServiceChanges = 4

interface Row {
  readonly size: Size
  readonly ours: OurFigures
  readonly perService: LayoutFigures | undefined
}

await runBenchmark({
  name: 'service-sync',
  options: {
    loads: { standard: 5, meaning: 'times that our layout is loaded into a new namespace, for each size' },
    changes: { standard: 12, meaning: 'additions of a service, and flips of 1,000, for each size' },
    additions: { standard: 50, meaning: 'services added through the watch of the agent’s proxy' },
    perServiceUpTo: {
      standard: 10_000,
      meaning: 'most services to load in the other layout (20,000 take two minutes)',
    },
  },
  measure: async ({ loads, changes, additions, perServiceUpTo }, signal) => {
    using workspace = new Workspace()
    placeAsMeasured(process.pid)
    progress(`the agent’s proxy with ${main.services} services`)
    const watched = await measureWatched(main, additions, workspace.path, signal)
    const library = unwrap(Libnftables.load())
    const rows: Row[] = []
    for (const size of sizes) {
      signal.throwIfAborted()
      progress(`${size.services} services × ${size.endpoints} endpoints`)
      const ours = await measureOurs(library, size, { loads, changes }, signal)
      const isCompared = size.services <= perServiceUpTo
      const perService = isCompared ? await measurePerService(library, size, perServiceChanges, signal) : undefined
      rows.push({ size, ours, perService })
    }
    return report(rows, watched)
  },
})

function report(rows: readonly Row[], watched: WatchedFigures): Measured {
  const row = rows.find(({ size }) => size === main)
  if (row === undefined) throw new Error(`${main.services} services are not among the sizes`)
  const { ours, perService } = row
  const added = summarise(watched.addedMs)
  const filled = summarise(watched.filledMs)
  const meaning = 'cold load of 10,000 × 2: a chain for each service / ours'
  return {
    ratios:
      perService === undefined
        ? []
        : [{ key: 'cold10kVsPerService', meaning, value: perService.coldMs / ours.coldMs, goal: atLeast(20) }],
    goals: [
      { key: 'cold10kMs', meaning: 'cold load of 10,000 × 2, ms', value: ours.coldMs, goal: atMost(500) },
      {
        key: 'addOneMs',
        meaning: 'one service more among 10,000, from watch event to kernel, ms (median)',
        value: added.medianMs,
        goal: atMost(10),
      },
    ],
    figures: {
      cold10kMs: ours.coldMs,
      cold10kPlanMs: ours.coldPlanMs,
      addOneMs: added.medianMs,
      addOneP99Ms: added.p99Ms,
      addSliceMs: filled.medianMs,
      addSliceP99Ms: filled.p99Ms,
      addOneLayoutMs: ours.addOneMs,
      flip1000Ms: ours.flipMs,
      kernel10kMiB: ours.kernelMiB,
      proxyColdMs: watched.cold.totalMs,
      proxyRssMiB: watched.memory.rssMiB,
      proxyPeakRssMiB: watched.memory.peakRssMiB,
      ...(perService !== undefined && perServiceFigures(perService)),
    },
    table: [layoutsTable(rows), watchedTable(watched, { added, filled })].join('\n'),
  }
}

function perServiceFigures({ coldMs, addOneMs, flipMs, kernelMiB }: LayoutFigures): Measured['figures'] {
  return {
    perServiceCold10kMs: coldMs,
    perServiceAddOneMs: addOneMs,
    perServiceFlip1000Ms: flipMs,
    perServiceKernel10kMiB: kernelMiB,
  }
}

function layoutsTable(rows: readonly Row[]): string {
  const cells = ({ coldMs, addOneMs, flipMs, kernelMiB }: LayoutFigures): string[] =>
    [coldMs, addOneMs, flipMs, kernelMiB].map((value) => value.toFixed(1))
  return formatTable(
    ['SERVICES', 'ENDPOINTS', 'LAYOUT', 'COLD ms', 'ADD ONE ms', 'FLIP 1,000 ms', 'KERNEL MiB'],
    rows.flatMap(({ size, ours, perService }) => {
      const start = [size.services, size.endpoints].map(String)
      return [
        [...start, 'ours', ...cells(ours)],
        [...start, 'per service', ...(perService === undefined ? ['not loaded', '', '', ''] : cells(perService))],
      ]
    }),
  )
}

function watchedTable(
  { cold, memory, addedMs, filledMs }: WatchedFigures,
  { added, filled }: Readonly<Record<'added' | 'filled', Summary>>,
): string {
  const row = (name: string, { medianMs, p99Ms }: Summary, samples: readonly number[]): string[] => [
    name,
    medianMs.toFixed(2),
    p99Ms.toFixed(2),
    Math.min(...samples).toFixed(2),
    String(samples.length),
  ]
  const start = `${cold.totalMs.toFixed(0)} ms, of which the transaction ${cold.kernelMs.toFixed(0)}`
  return [
    formatTable(
      ['FROM WATCH TO KERNEL, ms', 'MEDIAN', 'P99', 'LEAST', 'TIMES'],
      [
        row('a Service and its EndpointSlice', added, addedMs),
        row('the EndpointSlice of a Service that is there', filled, filledMs),
      ],
    ),
    `start of the proxy among ${main.services} services: ${start}; ${memory.rssMiB.toFixed(0)} MiB resident`,
  ].join('\n')
}
