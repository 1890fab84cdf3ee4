import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { err, ok, type Result } from '../base/result.ts'
import { renderAgentConfig, renderVnicsFile } from './agent-files.ts'
import type { LabNode, LabState } from './lab-state.ts'
import { entries } from './lab-store.ts'
import { type NodePaths, nodePaths } from './names.ts'
import { spawnInNetns } from './netns-process.ts'

export interface RunningAgent {
  readonly node: string
  readonly pid: number
  /** How it ended, as far as this process has seen: only a child's end is reported. */
  readonly ended: () => string | undefined
}

export interface AgentFailure {
  readonly node: string
  readonly problem: string
  readonly logTail: string
}

const vcnctl = `${import.meta.dirname}/../../bin/vcnctl`
const readyTimeoutMs = 30_000
const pollIntervalMs = 20
const logTailLines = 20

/** Writes what the agent reads: its configuration and the node's VNICs. */
export function writeAgentFiles(lab: LabState, node: LabNode): void {
  const paths = nodePaths(lab.name, node.name)
  for (const directory of [paths.state, paths.cniBin, paths.cniConf]) mkdirSync(directory, { recursive: true })
  if (lab.cluster === undefined) writeFileSync(paths.vnicsFile, renderVnicsFile(lab, node))
  writeFileSync(paths.agentConfig, renderAgentConfig(lab, node))
}

/** Starts the node's agent, the very program of production, on its own: it outlives this process. */
export function startAgent(lab: LabState, node: LabNode): RunningAgent {
  const paths = nodePaths(lab.name, node.name)
  const log = openSync(paths.log, 'a', 0o644)
  try {
    const child = spawnInNetns(node.netns, agentCommand(node, paths), {
      detached: true,
      stdio: ['ignore', log, log],
      cwd: '/',
    })
    let end: string | undefined
    child.once('error', (error) => (end = error.message))
    child.once('exit', (code, signal) => (end = signal === null ? `exit code ${code}` : `ended by ${signal}`))
    child.unref()
    const pid = child.pid ?? 0
    writeFileSync(paths.pidFile, `${pid}\n`)
    return { node: node.name, pid, ended: () => end }
  } finally {
    closeSync(log)
  }
}

/** Ready is what a container runtime can see: there is a network configuration, and the socket answers. */
export async function waitForAgent(
  lab: LabState,
  agent: RunningAgent,
  signal: AbortSignal,
): Promise<Result<void, AgentFailure>> {
  const paths = nodePaths(lab.name, agent.node)
  const deadline = performance.now() + readyTimeoutMs
  const failed = (problem: string): Result<never, AgentFailure> =>
    err({ node: agent.node, problem, logTail: tailOfLog(paths.log) })
  for (;;) {
    const end = agent.ended()
    if (end !== undefined) return failed(`the agent ended before it was ready: ${end}`)
    const configured = entries(paths.cniConf).some((entry) => entry.endsWith('.conflist'))
    if (configured && (await accepts(paths.socket))) return ok(undefined)
    if (performance.now() > deadline) return failed(`the agent was not ready after ${readyTimeoutMs / 1000} s`)
    await sleep(pollIntervalMs, undefined, { signal })
  }
}

/** The agent of a node as its pid file has it; undefined when that process is gone or is another by now. */
export function agentPid(paths: NodePaths): number | undefined {
  try {
    const pid = Number(readFileSync(paths.pidFile, 'utf8'))
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
    return command.includes(paths.state) ? pid : undefined
  } catch {
    return undefined
  }
}

export function tailOfLog(file: string): string {
  if (!existsSync(file)) return ''
  return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-logTailLines).join('\n')
}

function agentCommand(node: LabNode, paths: NodePaths): readonly string[] {
  const flags = {
    'node-name': node.name,
    'state-dir': paths.state,
    socket: paths.socket,
    'cni-bin-dir': paths.cniBin,
    'cni-conf-dir': paths.cniConf,
    config: paths.agentConfig,
  }
  return [vcnctl, 'agent', ...Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value])]
}

function accepts(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path: socketPath })
    const settle = (answer: boolean): void => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('connect', () => {
      settle(true)
    })
    socket.once('error', () => {
      settle(false)
    })
  })
}
