import type { TestNode } from '../test/clients/test-node.ts'
import { agentElapsedMs } from './agent-log.ts'
import { type CniPlugin, type PluginCalls, timeAdds, timeDels } from './cni-plugin.ts'
import { runExecBatch } from './exec-batch.ts'
import { PodNamespaces } from './pod-namespaces.ts'

/** Kinds of operations: one at a time, and 8 at once. */
export const phases = ['add', 'del', 'add8', 'del8'] as const
export type Phase = (typeof phases)[number]
export type Samples = Record<Phase, number[]>

export interface Contest {
  readonly ours: CniPlugin
  readonly ourNode: TestNode
  readonly ptp: CniPlugin
  /** The compiled native/exec-timer.c. */
  readonly timer: string
  /** The compiled native/empty.c. */
  readonly empty: string
}

/** Milliseconds of every operation so far. */
export interface Timings {
  readonly ours: Samples
  readonly ptp: Samples
  /** Of `ours`, one at a time: the agent's part. */
  readonly agent: { readonly add: number[]; readonly del: number[] }
  /** Executions of a program that does nothing. */
  readonly floor: number[]
}

export function noTimings(): Timings {
  const none = (): Samples => ({ add: [], del: [], add8: [], del8: [] })
  return { ours: none(), ptp: none(), agent: { add: [], del: [] }, floor: [] }
}

/** One round of everything, added to the timings. Who comes first changes with the round. */
export async function measureRound(
  contest: Contest,
  timings: Timings,
  { round, operations }: { readonly round: number; readonly operations: number },
  signal: AbortSignal,
): Promise<void> {
  const order = round % 2 === 0 ? (['ours', 'ptp'] as const) : (['ptp', 'ours'] as const)
  for (const concurrency of [1, 8] as const) {
    await using scope = new AsyncDisposableStack()
    const runs: Run[] = []
    for (const who of order) runs.push(await prepareRun(contest, who, concurrency, operations, scope))
    for (const run of runs) await measureRun(contest, timings, run, 'ADD', signal)
    for (const run of runs) await measureRun(contest, timings, run, 'DEL', signal)
  }
  timings.floor.push(...(await timeEmpty(contest, operations, signal)))
}

interface Run {
  readonly who: 'ours' | 'ptp'
  readonly calls: PluginCalls
}

/** Makes the pods' namespaces, which the scope takes away. */
async function prepareRun(
  contest: Contest,
  who: Run['who'],
  concurrency: 1 | 8,
  operations: number,
  scope: AsyncDisposableStack,
): Promise<Run> {
  const { sandboxes } = scope.use(await PodNamespaces.make(operations, contest.ptp.nodeNetnsPath))
  return { who, calls: { plugin: contest[who], timer: contest.timer, concurrency, sandboxes } }
}

async function measureRun(
  { ourNode }: Contest,
  timings: Timings,
  { who, calls }: Run,
  command: 'ADD' | 'DEL',
  signal: AbortSignal,
): Promise<void> {
  const logged = ourNode.agentLog().length
  const elapsedMs = await (command === 'ADD' ? timeAdds : timeDels)(calls, signal)
  const kind = command === 'ADD' ? 'add' : 'del'
  timings[who][calls.concurrency === 1 ? kind : (`${kind}8` as const)].push(...elapsedMs)
  if (who !== 'ours' || calls.concurrency !== 1) return
  timings.agent[kind].push(...agentElapsedMs(ourNode.agentLog().slice(logged), command))
}

async function timeEmpty(contest: Contest, operations: number, signal: AbortSignal): Promise<readonly number[]> {
  const { timer, empty: program, ptp } = contest
  const execution = { stdinPath: '/dev/null', stdoutPath: '/dev/null', env: {} }
  const executions = Array.from({ length: operations }, () => execution)
  const batch = { timer, program, netnsPath: ptp.nodeNetnsPath, concurrency: 1, executions }
  return (await runExecBatch(batch, signal)).map(({ elapsedMs }) => elapsedMs)
}
