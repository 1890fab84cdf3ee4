// How fast a thousand nodes launched at once get their networks. README.md tells how it is measured, and why so.
import { formatTable } from '../src/cli/table.ts'
import { type Measured, runBenchmark } from './benchmark.ts'
import type { NaiveOutcome } from './naive-controller.ts'
import { atLeast, atMost } from './report.ts'
import { quota } from './storm-cloud.ts'
import { type QuotaMinimum, quotaMinimum } from './storm-minimum.ts'
import { type BurstRun, runBursts, runNaive, runStorm, type StormRun } from './storm-runs.ts'
import { Workspace } from './workspace.ts'

/** Addresses that a new node without pods gets: the default minimum and margin. */
const firstAddresses = 8
/** Single addresses take as many calls: fewer nodes, so that it does not take as many minutes. */
const singlesShare = 5
const burstPods = 200

interface Results {
  readonly blocks: StormRun
  readonly singles: StormRun
  readonly naive: NaiveOutcome
  readonly naiveOneVnic: NaiveOutcome
  readonly burstBlocks: BurstRun
  readonly burstSingles: BurstRun
}

await runBenchmark({
  name: 'controller-storm',
  options: {
    nodes: { standard: 1000, meaning: 'nodes launched at once' },
    workers: { standard: 256, meaning: 'of the controller: nodes it works on at a time' },
  },
  measure: async ({ nodes, workers }, signal) => {
    if (nodes <= quota.burst)
      throw new Error(`--nodes: ${nodes} fit into the quota’s burst of ${quota.burst}; take more`)
    using workspace = new Workspace()
    const ours = { directory: workspace.path, workers }
    const few = Math.ceil(nodes / singlesShare)
    const plan = { addresses: firstAddresses }
    const [blocks, naive] = await together([
      runStorm({ ...ours, name: 'blocks', nodes, preferBlocks: true }, signal),
      runNaive({ name: 'naive', nodes, plan: { ...plan, vnics: 2 } }, signal),
    ])
    const [singles, naiveOneVnic] = await together([
      runStorm({ ...ours, name: 'singles', nodes: few, preferBlocks: false }, signal),
      runNaive({ name: 'naive-one-vnic', nodes: few, plan: { ...plan, vnics: 1 } }, signal),
    ])
    const [burstBlocks, burstSingles] = await together([
      runBursts({ ...ours, name: 'burst-blocks', pods: burstPods, preferBlocks: true }, signal),
      runBursts({ ...ours, name: 'burst-singles', pods: burstPods, preferBlocks: false }, signal),
    ])
    return report({ blocks, singles, naive, naiveOneVnic, burstBlocks, burstSingles })
  },
})

/** All of them end before this does, so that nothing runs on when one fails. */
async function together<A, B>(runs: readonly [Promise<A>, Promise<B>]): Promise<readonly [A, B]> {
  await Promise.allSettled(runs)
  return Promise.all(runs)
}

function report(results: Results): Measured {
  const { blocks, singles } = results
  const minimum = quotaMinimum(blocks.nodes, 1)
  const singlesMinimum = quotaMinimum(singles.nodes, firstAddresses)
  return {
    ratios: [
      {
        key: 'timeVsQuotaMinimum',
        meaning: 'time until the last node succeeded / the least that the quota allows',
        value: blocks.lastSuccessMs / 1000 / minimum.seconds,
        goal: atMost(1.2),
      },
      {
        key: 'timeVsQuotaMinimumWithRepeats',
        meaning: 'the same / the least with the repeats that the faults make necessary',
        value: blocks.lastSuccessMs / 1000 / minimum.secondsWithRepeats,
      },
    ],
    goals: [
      {
        key: 'succeeded',
        meaning: 'share of the nodes that succeeded',
        value: blocks.succeeded / blocks.nodes,
        goal: atLeast(1),
      },
      {
        key: 'differences',
        meaning: 'leaks, doubles and other differences between cloud and Kubernetes',
        value: blocks.differences.length + singles.differences.length,
        goal: atMost(0),
      },
    ],
    figures: {
      ...stormFigures(blocks, minimum),
      ...singlesFigures(singles, singlesMinimum),
      differences: blocks.differences.length + singles.differences.length,
      ...otherFigures(results),
    },
    table: [
      callsTable(`CALLS, BLOCKS, ${blocks.nodes} NODES`, blocks, minimum),
      callsTable(`CALLS, SINGLES, ${singles.nodes} NODES`, singles, singlesMinimum),
      outcomeTable(results),
      ...problemsOf('blocks', blocks),
      ...problemsOf('singles', singles),
    ].join('\n'),
  }
}

function stormFigures(blocks: StormRun, minimum: QuotaMinimum): Measured['figures'] {
  return {
    nodes: blocks.nodes,
    succeeded: blocks.succeeded,
    seconds: blocks.lastSuccessMs / 1000,
    medianNodeSeconds: blocks.medianSuccessMs / 1000,
    quotaMinimumSeconds: minimum.seconds,
    quotaMinimumWithRepeatsSeconds: minimum.secondsWithRepeats,
    callsPerAddressBlocks: callsPerAddress(blocks),
    controllerRssMiB: blocks.memory.rssMiB,
    controllerPeakRssMiB: blocks.memory.peakRssMiB,
    controllerCpuSeconds: blocks.cpuSeconds,
  }
}

function singlesFigures(singles: StormRun, minimum: QuotaMinimum): Measured['figures'] {
  return {
    singlesNodes: singles.nodes,
    singlesSucceeded: singles.succeeded,
    singlesSeconds: singles.lastSuccessMs / 1000,
    singlesQuotaMinimumSeconds: minimum.seconds,
    callsPerAddress: callsPerAddress(singles),
  }
}

function otherFigures(results: Results): Measured['figures'] {
  const { blocks, singles, naive, naiveOneVnic, burstBlocks, burstSingles } = results
  return {
    baselineSucceeded: naive.succeeded,
    baselineFailedShare: 1 - naive.succeeded / blocks.nodes,
    baselineOneVnicNodes: singles.nodes,
    baselineOneVnicSucceeded: naiveOneVnic.succeeded,
    baselineOneVnicFailedShare: 1 - naiveOneVnic.succeeded / singles.nodes,
    burstColdBlocksSeconds: burstBlocks.coldSeconds,
    burstWarmBlocksSeconds: burstBlocks.warmSeconds,
    burstColdSinglesSeconds: burstSingles.coldSeconds,
    burstWarmSinglesSeconds: burstSingles.warmSeconds,
  }
}

function callsPerAddress({ calls, assignedAddresses }: StormRun): number {
  return Object.values(calls).reduce((sum, one) => sum + one.calls, 0) / assignedAddresses
}

function callsTable(title: string, { calls }: StormRun, minimum: QuotaMinimum): string {
  const least = new Map<string, number>(Object.entries(minimum.calls))
  const rows = Object.entries(calls).toSorted(([, a], [, b]) => b.calls - a.calls)
  return formatTable(
    [title, 'MADE', 'LEAST', 'ANSWERED 429'],
    rows.map(([operation, { calls: made, throttled }]) => {
      return [operation, String(made), String(least.get(operation) ?? ''), String(throttled)]
    }),
  )
}

function outcomeTable({ blocks, singles, naive, naiveOneVnic, burstBlocks, burstSingles }: Results): string {
  const storm = ({ nodes, succeeded, lastSuccessMs }: StormRun): string[] => {
    return [`${succeeded} of ${nodes}`, (lastSuccessMs / 1000).toFixed(1), '']
  }
  const baseline = ({ succeeded, seconds, failures }: NaiveOutcome, nodes: number): string[] => {
    const reasons = Object.entries(failures).toSorted(([, a], [, b]) => b - a)
    return [
      `${succeeded} of ${nodes}`,
      seconds.toFixed(1),
      reasons.map(([reason, count]) => `${reason} ${count}`).join(', '),
    ]
  }
  const burst = (seconds: number): string[] => ['', seconds.toFixed(2), '']
  return formatTable(
    ['', 'SUCCEEDED', 'SECONDS', 'FAILED OF'],
    [
      ['ours, blocks', ...storm(blocks)],
      ['ours, single addresses', ...storm(singles)],
      ['naive, two VNICs a node', ...baseline(naive, blocks.nodes)],
      ['naive, one VNIC a node', ...baseline(naiveOneVnic, singles.nodes)],
      [`${burstPods} pods on a new node, blocks`, ...burst(burstBlocks.coldSeconds)],
      [`${burstPods} pods on a new node, single addresses`, ...burst(burstSingles.coldSeconds)],
      [`${burstPods} pods on a node at rest, blocks`, ...burst(burstBlocks.warmSeconds)],
      [`${burstPods} pods on a node at rest, single addresses`, ...burst(burstSingles.warmSeconds)],
    ],
  )
}

function problemsOf(name: string, { differences, complaints, states }: StormRun): readonly string[] {
  const complained = Object.entries(complaints).map(([event, count]) => `${event} ${count}`)
  return [
    `${name}: states ${JSON.stringify(states)}; the controller's log has ${complained.join(', ') || 'no complaints'}`,
    ...differences.slice(0, 20).map((difference) => `${name}: ${difference}`),
  ]
}
