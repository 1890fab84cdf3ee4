// Whole executions of our plugin and of Debian's ptp + host-local, side by side. README.md tells how, and why so.
import { formatTable } from '../src/cli/table.ts'
import { type Measured, progress, runBenchmark } from './benchmark.ts'
import { type Contest, measureRound, noTimings, type Phase, phases, type Samples, type Timings } from './cni-rounds.ts'
import { compile } from './native-programs.ts'
import { startOurNode, startPtpNode } from './plugin-nodes.ts'
import { atMost, type Goal, type Headline } from './report.ts'
import { median, type Summary, summarise } from './statistics.ts'
import { Workspace } from './workspace.ts'

const addressCount = 1000
/** Before the first round, of each kind: what runs for the first time finds nothing compiled and nothing in a cache. */
const warmUpOperations = 50

const phaseNames: Record<Phase, string> = {
  add: 'ADD, one at a time',
  del: 'DEL, one at a time',
  add8: 'ADD, 8 at once',
  del8: 'DEL, 8 at once',
}
const goals: Partial<Record<Phase, Goal>> = {
  add: atMost(0.3),
  del: atMost(0.2),
}

await runBenchmark({
  name: 'cni-latency',
  options: {
    rounds: { standard: 5, meaning: 'how often everything is measured' },
    operations: { standard: 200, meaning: 'ADDs and DELs of each kind in a round, at most 400' },
  },
  measure: async ({ rounds, operations }, signal) => {
    // All of a round cool down at its end, and more are to be had at once.
    if (operations > 400) throw new Error(`--operations: ${operations} is more than 400`)
    using workspace = new Workspace()
    const programs = { timer: compile('exec-timer', workspace.path), empty: compile('empty', workspace.path) }
    progress('starting both nodes')
    await using ptp = startPtpNode(workspace.path)
    await using our = await startOurNode(workspace.path, { addressCount })
    const contest: Contest = { ours: our.plugin, ourNode: our.node, ptp: ptp.plugin, ...programs }
    progress('warming up')
    await measureRound(contest, noTimings(), { round: 0, operations: Math.min(warmUpOperations, operations) }, signal)
    const timings = noTimings()
    for (let round = 1; round <= rounds; round++) {
      await measureRound(contest, timings, { round, operations }, signal)
      progress(`round ${round} of ${rounds}: ${describeRound(timings, operations)}`)
    }
    return report(timings)
  },
})

function describeRound({ ours, ptp }: Timings, operations: number): string {
  const latest = (samples: readonly number[]): string => median(samples.slice(-operations)).toFixed(2)
  const texts = phases.map((phase) => `${phase} ${latest(ours[phase])} against ${latest(ptp[phase])}`)
  return `${texts.join(', ')} ms`
}

function report({ ours, ptp, agent, floor }: Timings): Measured {
  const [our, their] = [summarisePhases(ours), summarisePhases(ptp)]
  const ratios = phases.map((phase): Headline => {
    const goal = goals[phase]
    const value = our[phase].medianMs / their[phase].medianMs
    return { key: phase, meaning: `${phaseNames[phase]}: ours / ptp’s`, value, ...(goal !== undefined && { goal }) }
  })
  const parts = { add: median(agent.add), del: median(agent.del), empty: median(floor) }
  const table = [
    formatTable(
      ['MILLISECONDS', 'OURS: MEDIAN', 'P99', 'PTP + HOST-LOCAL: MEDIAN', 'P99'],
      phases.map((phase) => [phaseNames[phase], ...cells(our[phase]), ...cells(their[phase])]),
    ),
    `Of ours one at a time the agent takes ${parts.add.toFixed(2)} ms of an ADD and ${parts.del.toFixed(2)} ms of a DEL;\n`,
    `executing a program that does nothing takes ${parts.empty.toFixed(2)} ms.\n`,
  ]
  const figures = {
    ...Object.fromEntries(phases.flatMap((phase) => figuresOf(`${phase}Ours`, our[phase]))),
    ...Object.fromEntries(phases.flatMap((phase) => figuresOf(`${phase}Ptp`, their[phase]))),
    ...{ addAgentMs: parts.add, delAgentMs: parts.del, emptyProgramMs: parts.empty, operations: our.add.count },
  }
  return { ratios, figures, table: table.join('') }
}

function summarisePhases(samples: Samples): Record<Phase, Summary> {
  const { add, del, add8, del8 } = samples
  return { add: summarise(add), del: summarise(del), add8: summarise(add8), del8: summarise(del8) }
}

function cells({ medianMs, p99Ms }: Summary): readonly [string, string] {
  return [medianMs.toFixed(2), p99Ms.toFixed(2)]
}

function figuresOf(name: string, { medianMs, p99Ms }: Summary): readonly (readonly [string, number])[] {
  return [
    [`${name}MedianMs`, medianMs],
    [`${name}P99Ms`, p99Ms],
  ]
}
