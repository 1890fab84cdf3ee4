// Child processes of the tests: run to their end, or in the background until a scope ends.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { constants } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'

export interface Finished {
  /** 128 + the signal's number when a signal ended it, as a shell says it. */
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly stdin?: string
  /** All of the environment; without it the test's own. */
  readonly env?: Readonly<Record<string, string>>
  readonly timeoutMs?: number
}

/** Runs a program to its end. One that outlives `timeoutMs` is killed. */
export function run(argv: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const { stdin = '', env, timeoutMs = 20_000 } = options
  const [program = '', ...args] = argv
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: 'pipe',
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
      ...(env && { env }),
    })
    const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []]
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
    // Who does not read its input closes the pipe.
    child.stdin.on('error', () => undefined)
    child.stdin.end(stdin)
    child.once('error', reject)
    child.once('close', (code, signal) => {
      resolve({
        code: code ?? 128 + (signal === null ? 0 : constants.signals[signal]),
        stdout: Buffer.concat(stdout).toString('utf8'),
        stderr: Buffer.concat(stderr).toString('utf8'),
      })
    })
  })
}

/**
 * The command as it runs in a network namespace. nsenter(1) replaces itself by it, so the process id is the command's;
 * `ip netns exec` would hide the cgroup mounts (reference/clients.md).
 */
export function inNetns(netnsPath: string, argv: readonly string[]): readonly string[] {
  return ['nsenter', `--net=${netnsPath}`, '--', ...argv]
}

/**
 * A process in the background, with its output in a file. Ends with its scope: SIGTERM, later SIGKILL; and with the test
 * itself, should that be killed.
 */
export class Background implements AsyncDisposable {
  readonly #child: ChildProcess

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  static async start(argv: readonly string[], logPath: string, env?: NodeJS.ProcessEnv): Promise<Background> {
    const log = openSync(logPath, 'a')
    try {
      const child = spawn('setpriv', ['--pdeathsig', 'SIGKILL', ...argv], {
        stdio: ['ignore', log, log],
        ...(env && { env }),
      })
      await once(child, 'spawn')
      return new Background(child)
    } finally {
      closeSync(log)
    }
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error('the process was never started')
    return this.#child.pid
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  /** Ends the process and waits for its end. Returns its exit code; null when the signal ended it. */
  async end(signal: 'SIGTERM' | 'SIGKILL', graceMs = 10_000): Promise<number | null> {
    if (!this.hasEnded) {
      const ended = once(this.#child, 'exit')
      this.#child.kill(signal)
      const grace = new AbortController()
      const late = delay(graceMs, undefined, { signal: grace.signal, ref: false }).then(
        () => this.#child.kill('SIGKILL'),
        () => undefined,
      )
      await ended
      grace.abort()
      await late
    }
    return this.#child.exitCode
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end('SIGTERM')
  }
}
