// How long it takes from pods, namespaces and network policies to rules in the kernel. README.md tells how it is measured,
// and why so.
import { unwrap } from '../src/base/result.ts'
import { formatTable } from '../src/cli/table.ts'
import { Libnftables } from '../src/nftables/libnftables.ts'
import { type Measured, progress, runBenchmark } from './benchmark.ts'
import { placeAsMeasured } from './placement.ts'
import { changeKinds, measureSize, type SizeFigures } from './policy-rounds.ts'
import { atLeast, atMost, type Headline } from './report.ts'
import { median, summarise, type Summary } from './statistics.ts'
import { measureWatchedPolicies, type WatchedPolicies } from './watched-policies.ts'
import { Workspace } from './workspace.ts'

const mainPolicies = 1000
const sizes = [100, mainPolicies, 4000] as const
const texts = {
  peer: 'a label of a peer',
  local: 'a label of a pod of the node',
  policy: 'a port of a policy',
  namespace: 'a label of a namespace of 5,000 peers',
} as const

await runBenchmark({
  name: 'policy-sync',
  options: {
    loads: { standard: 5, meaning: 'times that everything is loaded into a new namespace, for each size' },
    changes: { standard: 60, meaning: 'changes of each kind without an API server, for each size' },
    peers: { standard: 200, meaning: 'changed labels of peers, through the agent’s watches' },
    locals: { standard: 100, meaning: 'changed labels of pods of the node, likewise' },
    namespaces: { standard: 20, meaning: 'changed labels of a namespace, likewise' },
    rebuilds: { standard: 3, meaning: 'times that everything is compiled and loaded anew for a change, for each size' },
  },
  measure: async ({ loads, changes, rebuilds, ...counts }, signal) => {
    using workspace = new Workspace()
    placeAsMeasured(process.pid)
    progress(`the agent’s policy engine with ${mainPolicies} policies`)
    const watched = await measureWatchedPolicies({ policies: mainPolicies, ...counts }, workspace.path, signal)
    const library = unwrap(Libnftables.load())
    const rows: SizeFigures[] = []
    for (const policies of sizes) {
      signal.throwIfAborted()
      progress(`${policies} policies`)
      rows.push(await measureSize(library, policies, { loads, changes, rebuilds }, signal))
    }
    return report(rows, watched)
  },
})

function report(rows: readonly SizeFigures[], watched: WatchedPolicies): Measured {
  const of = (policies: number): SizeFigures => {
    const row = rows.find((one) => one.policies === policies)
    if (row === undefined) throw new Error(`${policies} policies are not among the sizes`)
    return row
  }
  const main = of(mainPolicies)
  const ratio = (key: string, meaning: string, value: number): Headline => ({ key, meaning, value })
  const { changeMs } = of(4000)
  return {
    ratios: [
      ratio('podChange4000Vs1000', 'a peer’s label: 4,000 policies / 1,000', changeMs.peer / main.changeMs.peer),
      ratio(
        'localChange4000Vs1000',
        'a local pod’s label: 4,000 policies / 1,000',
        changeMs.local / main.changeMs.local,
      ),
      {
        ...ratio('rebuildVsPodChange', 'everything anew / only a peer’s change', main.rebuildMs / main.changeMs.peer),
        goal: atLeast(20),
      },
      ratio(
        'rebuildVsLocalChange',
        'everything anew / only a local pod’s change',
        main.rebuildMs / main.changeMs.local,
      ),
    ],
    goals: goalsOf(main, watched),
    figures: figuresOf(rows, main, watched),
    table: [sizesTable(rows), watchedTable(watched)].join('\n'),
  }
}

function goalsOf(main: SizeFigures, { start, peerMs, localMs, namespaceMs }: WatchedPolicies): readonly Headline[] {
  const headline = (key: string, meaning: string, value: number, most: number): Headline => {
    return { key, meaning, value, goal: atMost(most) }
  }
  const pods = summarise([...peerMs, ...localMs])
  return [
    headline('coldMs', 'cold load of 1,000 policies and 10,250 pods from objects, ms', main.coldMs, 2000),
    headline('engineColdMs', 'the same by the agent, from its first list to the kernel, ms', start.totalMs, 2000),
    headline('podChangeP99Ms', 'one pod’s label, from the API server’s store to the kernel, ms (p99)', pods.p99Ms, 100),
    headline('namespaceChangeMs', 'a namespace’s label, 5,000 peers, likewise, ms (median)', median(namespaceMs), 1000),
  ]
}

function figuresOf(
  rows: readonly SizeFigures[],
  main: SizeFigures,
  { start, memory, ...samples }: WatchedPolicies,
): Measured['figures'] {
  const [peer, local, namespace] = [samples.peerMs, samples.localMs, samples.namespaceMs].map(summarise)
  const pods = summarise([...samples.peerMs, ...samples.localMs])
  return {
    coldMs: main.coldMs,
    coldIndexMs: main.cold.indexMs,
    coldRulesMs: main.cold.rulesMs,
    coldKernelMs: main.cold.kernelMs,
    engineColdMs: start.totalMs,
    engineColdKernelMs: start.kernelMs,
    engineProcessColdMs: start.processMs,
    podChangeMs: pods.medianMs,
    podChangeP99Ms: pods.p99Ms,
    peerChangeMs: peer?.medianMs ?? Number.NaN,
    peerChangeP99Ms: peer?.p99Ms ?? Number.NaN,
    localChangeMs: local?.medianMs ?? Number.NaN,
    localChangeP99Ms: local?.p99Ms ?? Number.NaN,
    namespaceChangeMs: namespace?.medianMs ?? Number.NaN,
    engineRssBeforeMiB: start.rssBeforeMiB,
    engineRssMiB: memory.rssMiB,
    enginePeakRssMiB: memory.peakRssMiB,
    kernelMiB: main.kernelMiB,
    ...Object.fromEntries(rows.flatMap(sizeFigures)),
  }
}

function sizeFigures({ policies, coldMs, kernelMiB, changeMs, rebuildMs }: SizeFigures): readonly [string, number][] {
  return [
    [`cold${policies}Ms`, coldMs],
    [`kernel${policies}MiB`, kernelMiB],
    ...changeKinds.map((kind): [string, number] => [`${kind}Layout${policies}Ms`, changeMs[kind]]),
    [`rebuild${policies}Ms`, rebuildMs],
  ]
}

/** Of each change: the index, the rules, the kernel. */
function sizesTable(rows: readonly SizeFigures[]): string {
  const parts = (times: SizeFigures['cold']): string =>
    [times.indexMs, times.rulesMs, times.kernelMs].map((value) => value.toFixed(2)).join(' + ')
  return formatTable(
    ['POLICIES', 'WHAT CHANGES', 'ms', 'INDEX + RULES + KERNEL'],
    rows.flatMap(({ policies, coldMs, cold, changeMs, changes, rebuildMs, kernelMiB }) => [
      [String(policies), `everything, cold (${kernelMiB.toFixed(1)} MiB)`, coldMs.toFixed(0), parts(cold)],
      ...changeKinds.map((kind) => [String(policies), texts[kind], changeMs[kind].toFixed(2), parts(changes[kind])]),
      [String(policies), 'anything, by making everything anew', rebuildMs.toFixed(0), ''],
    ]),
  )
}

function watchedTable({ start, memory, peerMs, localMs, namespaceMs }: WatchedPolicies): string {
  const row = (name: string, samples: readonly number[]): string[] => {
    const { medianMs, p99Ms }: Summary = summarise(samples)
    const least = Math.min(...samples)
    return [name, medianMs.toFixed(2), p99Ms.toFixed(2), least.toFixed(2), String(samples.length)]
  }
  const { totalMs, kernelMs, processMs } = start
  return [
    formatTable(
      ['FROM THE API SERVER’S STORE TO THE KERNEL, ms', 'MEDIAN', 'P99', 'LEAST', 'TIMES'],
      [row(texts.peer, peerMs), row(texts.local, localMs), row(texts.namespace, namespaceMs)],
    ),
    `start of the engine: ${totalMs.toFixed(0)} ms, of which the kernel ${kernelMs.toFixed(0)}; ` +
      `${processMs.toFixed(0)} ms from the start of its process; ${start.rssBeforeMiB.toFixed(0)} MiB resident before, ${memory.rssMiB.toFixed(0)} in the end`,
  ].join('\n')
}
