import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { inNetns } from '../test/clients/run-process.ts'
import { asMeasured } from './placement.ts'

/** One execution of a program: everything it gets. */
export interface Execution {
  readonly stdinPath: string
  readonly stdoutPath: string
  readonly env: Readonly<Record<string, string>>
}

export interface ExecBatch {
  /** The compiled native/exec-timer.c. */
  readonly timer: string
  readonly program: string
  readonly netnsPath: string
  readonly concurrency: number
  readonly executions: readonly Execution[]
}

export interface ExecutionOutcome {
  /** From the call that spawns to the return of the call that waits. */
  readonly elapsedMs: number
  readonly exitCode: number
}

const maxOutputBytes = 16 * 1024 * 1024

/** Executes a program many times, `concurrency` at once. Outcomes are in the order of the executions. */
export async function runExecBatch(batch: ExecBatch, signal: AbortSignal): Promise<readonly ExecutionOutcome[]> {
  const { timer, program, netnsPath, concurrency, executions } = batch
  const [command = '', ...args] = inNetns(netnsPath, [...asMeasured, timer, String(concurrency), program])
  const running = promisify(execFile)(command, args, { signal, maxBuffer: maxOutputBytes })
  running.child.stdin?.end(executions.map(formatExecution).join(''))
  const { stdout } = await running
  const outcomes = stdout.trimEnd().split('\n').map(parseOutcome)
  if (outcomes.length !== executions.length) {
    throw new Error(`${outcomes.length} of ${executions.length} executions of ${program} were timed`)
  }
  return outcomes
}

function formatExecution({ stdinPath, stdoutPath, env }: Execution): string {
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`)
  return `${[stdinPath, stdoutPath, ...variables].join('\t')}\n`
}

function parseOutcome(line: string): ExecutionOutcome {
  const [microseconds = '', exitCode = ''] = line.split(' ')
  const outcome = { elapsedMs: Number.parseFloat(microseconds) / 1000, exitCode: Number.parseInt(exitCode, 10) }
  if (Number.isNaN(outcome.elapsedMs) || Number.isNaN(outcome.exitCode)) throw new Error(`exec-timer printed: ${line}`)
  return outcome
}
