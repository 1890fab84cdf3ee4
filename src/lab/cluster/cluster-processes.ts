import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { err, ok, type Result } from '../../base/result.ts'
import { tailOfLog } from '../agent-process.ts'
import { clusterPaths } from '../cluster-paths.ts'
import { clusterStatus } from './control-client.ts'
import type { ClusterStatus } from './control-protocol.ts'

/** One of the lab's processes in this machine's own namespace, on its own: it outlives this one. */
export interface BackgroundProcess {
  readonly what: 'cluster process' | 'controller'
  readonly pid: number
  readonly log: string
  /** How it ended, as far as this process has seen. */
  readonly ended: () => string | undefined
}

export interface ProcessFailure {
  readonly what: BackgroundProcess['what']
  readonly problem: string
  readonly log: string
  readonly logTail: string
}

const vcnctl = `${import.meta.dirname}/../../../bin/vcnctl`
const readyTimeoutMs = 30_000
const pollMs = 50

export function startClusterProcess(lab: string): BackgroundProcess {
  const { directory, log, pidFile } = clusterPaths(lab)
  return start('cluster process', ['lab', 'cluster', '--name', lab, '--directory', directory], log, pidFile)
}

export function startController(lab: string): BackgroundProcess {
  const { controllerConfig, kubeconfig, controllerLog, controllerPidFile } = clusterPaths(lab)
  const words = ['controller', '--config', controllerConfig, '--kubeconfig', kubeconfig, '--identity', `lab-${lab}`]
  return start('controller', words, controllerLog, controllerPidFile)
}

/** Until the cluster process answers: then nodes are registered and the controller can be started. */
export async function waitForCluster(
  lab: string,
  cluster: BackgroundProcess,
  signal: AbortSignal,
): Promise<Result<ClusterStatus, ProcessFailure>> {
  const deadline = performance.now() + readyTimeoutMs
  for (;;) {
    const failure = failureOf(cluster)
    if (failure !== undefined) return err(failure)
    const status = existsSync(clusterPaths(lab).controlSocket) ? await clusterStatus(lab, signal) : undefined
    if (status?.ok === true) return ok(status.value)
    if (performance.now() > deadline) return err(describe(cluster, `was not ready after ${readyTimeoutMs / 1000} s`))
    await sleep(pollMs, undefined, { signal })
  }
}

/** Why it is not running any more, if it is not. */
export function failureOf(process: BackgroundProcess): ProcessFailure | undefined {
  const end = process.ended()
  return end === undefined ? undefined : describe(process, `has ended: ${end}`)
}

export function describeProcessFailure({ what, problem, log, logTail }: ProcessFailure): string {
  return `the ${what} ${problem} (${log})\n${logTail}`
}

/** As its pid file has it; undefined when that process is gone or is another by now. `word` is on its command line. */
export function backgroundPid(pidFile: string, word: string): number | undefined {
  try {
    const pid = Number(readFileSync(pidFile, 'utf8'))
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(word) ? pid : undefined
  } catch {
    return undefined
  }
}

function describe({ what, log }: BackgroundProcess, problem: string): ProcessFailure {
  return { what, problem, log, logTail: tailOfLog(log) }
}

function start(
  what: BackgroundProcess['what'],
  words: readonly string[],
  log: string,
  pidFile: string,
): BackgroundProcess {
  const output = openSync(log, 'a', 0o644)
  try {
    const child = spawn(vcnctl, words, { detached: true, stdio: ['ignore', output, output], cwd: '/' })
    let end: string | undefined
    child.once('error', (error) => (end = error.message))
    child.once('exit', (code, signal) => (end = signal === null ? `exit code ${code}` : `killed by ${signal}`))
    child.unref()
    const pid = child.pid ?? 0
    writeFileSync(pidFile, `${pid}\n`)
    return { what, pid, log, ended: () => end }
  } finally {
    closeSync(output)
  }
}
