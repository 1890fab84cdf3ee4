import { type ChildProcess, spawn, type SpawnOptions } from 'node:child_process'
import { constants } from 'node:os'
import { netnsPath } from './names.ts'

// nsenter(1) and not `ip netns exec`, which unshares the mount namespace and remounts /sys: the process would lose
// sight of the cgroup mounts (reference/clients.md). nsenter replaces itself by the command, so the pid is the command's.

export interface CapturedOutput {
  /** 128 + signal number when a signal ended it, as a shell says it. */
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

export interface CaptureOptions {
  /** Text, or the descriptor of a file. */
  readonly stdin?: string | number
  readonly env?: NodeJS.ProcessEnv
  readonly signal?: AbortSignal | undefined
}

export function spawnInNetns(netns: string, command: readonly string[], options: SpawnOptions): ChildProcess {
  return spawn('nsenter', [`--net=${netnsPath(netns)}`, '--', ...command], options)
}

/** Runs a command to its end in a namespace. Rejects when it cannot be started, or with the signal's reason. */
export function captureInNetns(
  netns: string,
  command: readonly string[],
  { stdin = '', env, signal }: CaptureOptions = {},
): Promise<CapturedOutput> {
  signal?.throwIfAborted()
  return new Promise((resolve, reject) => {
    const child = spawnInNetns(netns, command, {
      stdio: [typeof stdin === 'number' ? stdin : 'pipe', 'pipe', 'pipe'],
      ...(env !== undefined && { env }),
    })
    const stdout: Buffer[] = []
    const stderr: Buffer[] = []
    child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk))
    child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk))
    // A command that does not read its input closes the pipe: EPIPE is its own business.
    child.stdin?.on('error', () => undefined)
    if (typeof stdin === 'string') child.stdin?.end(stdin)
    const stop = (): void => {
      child.kill('SIGKILL')
    }
    signal?.addEventListener('abort', stop, { once: true })
    child.once('error', (error) => {
      signal?.removeEventListener('abort', stop)
      reject(error)
    })
    child.once('close', (code, signalName) => {
      signal?.removeEventListener('abort', stop)
      if (signal?.aborted === true) {
        reject(signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason)))
        return
      }
      resolve({
        exitCode: exitCodeOf(code, signalName),
        stdout: Buffer.concat(stdout).toString('utf8'),
        stderr: Buffer.concat(stderr).toString('utf8'),
      })
    })
  })
}

export function exitCodeOf(code: number | null, signal: NodeJS.Signals | null): number {
  return code ?? 128 + (signal === null ? 0 : constants.signals[signal])
}
