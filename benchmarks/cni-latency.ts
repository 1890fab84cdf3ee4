// Whole executions of our plugin and of Debian's ptp + host-local, side by side. README.md tells how and why so.
import { randomBytes } from 'node:crypto'
import { formatTable } from '../src/cli/table.ts'
import type { TestNode } from '../test/clients/test-node.ts'
import { agentElapsedMs } from './agent-log.ts'
import { type Measured, progress, runBenchmark } from './benchmark.ts'
import { type CniPlugin, type PluginCalls, timeAdds, timeDels } from './cni-plugin.ts'
import { runExecBatch } from './exec-batch.ts'
import { compile } from './native-programs.ts'
import { startOurNode, startPtpNode } from './plugin-nodes.ts'
import { PodNamespaces } from './pod-namespaces.ts'
import type { Headline } from './report.ts'
import { median, type Summary, summarise } from './statistics.ts'
import { Workspace } from './workspace.ts'

const phases = ['add', 'del', 'add8', 'del8'] as const
type Phase = (typeof phases)[number]
type Samples = Record<Phase, number[]>

const phaseNames: Record<Phase, string> = {
  add: 'ADD, one at a time',
  del: 'DEL, one at a time',
  add8: 'ADD, 8 at once',
  del8: 'DEL, 8 at once',
}
const addressCount = 1000
/** Before the first round, of each kind: the agent's code is compiled as it is used, the others' is in no cache yet. */
const warmUpOperations = 50

interface Competitor {
  readonly plugin: CniPlugin
  readonly samples: Samples
}

interface Scene {
  readonly ours: Competitor & { readonly node: TestNode; readonly agentMs: Record<'ADD' | 'DEL', number[]> }
  readonly ptp: Competitor
  readonly timer: string
  readonly empty: string
  readonly floorMs: number[]
}

await runBenchmark({
  name: 'cni-latency',
  options: {
    rounds: { standard: 5, meaning: 'how often everything is measured' },
    operations: { standard: 200, meaning: 'ADDs and DELs of each kind in a round, at most 400' },
  },
  measure: async ({ rounds, operations }, signal) => {
    using workspace = new Workspace()
    const timer = compile('exec-timer', workspace.path)
    const empty = compile('empty', workspace.path)
    progress('starting both nodes')
    await using ptpNode = startPtpNode(workspace.path)
    await using ourNode = await startOurNode(workspace.path, addressCount)
    const makeScene = (): Scene => ({
      ours: { plugin: ourNode.plugin, samples: noSamples(), node: ourNode.node, agentMs: { ADD: [], DEL: [] } },
      ptp: { plugin: ptpNode.plugin, samples: noSamples() },
      ...{ timer, empty, floorMs: [] },
    })
    progress('warming up')
    await measureRound(makeScene(), 0, Math.min(warmUpOperations, operations), signal)
    const scene = makeScene()
    for (let round = 1; round <= rounds; round++) {
      await measureRound(scene, round, operations, signal)
      progress(`round ${round} of ${rounds}: ${describeRound(scene, operations)}`)
    }
    return summariseScene(scene)
  },
})

async function measureRound(scene: Scene, round: number, operations: number, signal: AbortSignal): Promise<void> {
  await measurePhases(scene, { round, operations, concurrency: 1, add: 'add', del: 'del' }, signal)
  await measurePhases(scene, { round, operations, concurrency: 8, add: 'add8', del: 'del8' }, signal)
  const execution = { stdinPath: '/dev/null', stdoutPath: '/dev/null', env: {} }
  const { timer, empty: program, ours } = scene
  const executions = Array.from({ length: operations }, () => execution)
  const batch = { timer, program, netnsPath: ours.plugin.nodeNetnsPath, concurrency: 1, executions }
  scene.floorMs.push(...(await runExecBatch(batch, signal)).map(({ elapsedMs }) => elapsedMs))
}

interface PhasePair {
  readonly round: number
  readonly operations: number
  readonly concurrency: number
  readonly add: Phase
  readonly del: Phase
}

/** ADDs of both, then DELs of both, in pods made beforehand; who comes first changes with the round. */
async function measurePhases(scene: Scene, pair: PhasePair, signal: AbortSignal): Promise<void> {
  const { ours, ptp, timer } = scene
  const { operations, concurrency, add, del, round } = pair
  await using pods = new AsyncDisposableStack()
  const witnessPath = ptp.plugin.nodeNetnsPath
  const runs: { readonly competitor: Competitor; readonly calls: PluginCalls }[] = []
  for (const competitor of round % 2 === 0 ? [ours, ptp] : [ptp, ours]) {
    const prefix = `bench-${randomBytes(4).toString('hex')}`
    const { paths } = pods.use(await PodNamespaces.make(prefix, operations, witnessPath))
    const sandboxes = paths.map((netnsPath, index) => ({ netnsPath, containerId: `${prefix}-${index}` }))
    runs.push({ competitor, calls: { plugin: competitor.plugin, timer, concurrency, sandboxes } })
  }
  for (const { competitor, calls } of runs) {
    const logged = ours.node.agentLog().length
    competitor.samples[add].push(...(await timeAdds(calls, signal)))
    if (concurrency === 1) ours.agentMs.ADD.push(...agentElapsedMs(ours.node.agentLog().slice(logged), 'ADD'))
  }
  for (const { competitor, calls } of runs) {
    const logged = ours.node.agentLog().length
    competitor.samples[del].push(...(await timeDels(calls, signal)))
    if (concurrency === 1) ours.agentMs.DEL.push(...agentElapsedMs(ours.node.agentLog().slice(logged), 'DEL'))
  }
}

function describeRound({ ours, ptp }: Scene, operations: number): string {
  const texts = phases.map((phase) => {
    const [our, their] = [ours, ptp].map(({ samples }) => median(samples[phase].slice(-operations)).toFixed(2))
    return `${phase} ${our} against ${their}`
  })
  return `${texts.join(', ')} ms`
}

function summariseScene({ ours, ptp, floorMs, agentMs }: Scene & { readonly agentMs?: never }): Measured {
  const our = summarisePhases(ours.samples)
  const their = summarisePhases(ptp.samples)
  void agentMs
  const ratios = phases.map((phase): Headline => {
    const value = our[phase].medianMs / their[phase].medianMs
    const goal = goals[phase]
    return { key: phase, meaning: `${phaseNames[phase]}: ours / ptp’s`, value, ...(goal !== undefined && { goal }) }
  })
  return { ratios, figures: figuresOf(our, their, ours.agentMs, floorMs), table: tableOf(our, their) }
}
