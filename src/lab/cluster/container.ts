import type { ChildProcess } from 'node:child_process'
import { closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { exitCodeOf, spawnInNetns } from '../netns-process.ts'
import type { ClusterPod, EnvEntry, PodContainer } from './cluster-pod.ts'
import { Readiness } from './readiness.ts'

export type ContainerState =
  | { readonly kind: 'waiting'; readonly reason: string; readonly message: string }
  | { readonly kind: 'running'; readonly startedAtMs: number }
  | {
      readonly kind: 'terminated'
      readonly exitCode: number
      readonly startedAtMs: number
      readonly finishedAtMs: number
    }

export interface ContainerOptions {
  readonly pod: ClusterPod
  readonly container: PodContainer
  /** The pod's namespace, and its node's, out of which probes are made. */
  readonly netns: string
  readonly nodeNetns: string
  readonly address: string
  readonly logFile: string
  /** State or readiness is another. */
  readonly changed: () => void
}

/** Of restarts; doubles up to the longest, as a kubelet's 10 s and 5 min, shorter for a lab. */
const firstRestartMs = 500
const longestRestartMs = 30_000
/** A process that ran so long is restarted at once again. */
const healthyMs = 60_000
const pollMs = 20

/** A container that is a plain process in its pod's namespace: same files, same users as the machine. For the lab. */
export class Container {
  readonly #options: ContainerOptions
  readonly #readiness: Readiness | undefined
  #state: ContainerState = { kind: 'waiting', reason: 'ContainerCreating', message: '' }
  #last: ContainerState | undefined
  #child: ChildProcess | undefined
  #restart: NodeJS.Timeout | undefined
  #restartCount = 0
  #backoffMs = firstRestartMs
  #isStopping = false

  constructor(options: ContainerOptions) {
    this.#options = options
    const { readinessProbe } = options.container
    this.#readiness = readinessProbe && new Readiness({ ...options, probe: readinessProbe })
  }

  get name(): string {
    return this.#options.container.name
  }

  get state(): ContainerState {
    return this.#state
  }

  /** How it ended before it was restarted. */
  get lastState(): ContainerState | undefined {
    return this.#last
  }

  get restartCount(): number {
    return this.#restartCount
  }

  get ready(): boolean {
    return this.#state.kind === 'running' && (this.#readiness?.ready ?? true)
  }

  start(): void {
    const { container, netns, logFile, pod, address } = this.#options
    const command = [
      ...asUser(container),
      ...(container.command.length === 0 ? ['sleep', 'infinity'] : container.command),
    ]
    mkdirSync(dirname(logFile), { recursive: true })
    const log = openSync(logFile, 'a', 0o644)
    const startedAtMs = Date.now()
    try {
      // A process group of its own: stopping it stops its children too.
      const child = spawnInNetns(netns, command, {
        detached: true,
        stdio: ['ignore', log, log],
        cwd: '/',
        env: environment(pod, container.env, address),
      })
      this.#child = child
      child.once('error', () => this.#ended(127, startedAtMs))
      child.once('exit', (code, signal) => this.#ended(exitCodeOf(code, signal), startedAtMs))
    } finally {
      closeSync(log)
    }
    this.#state = { kind: 'running', startedAtMs }
    this.#readiness?.start()
  }

  /** SIGTERM once preStop has passed, after the grace period SIGKILL; resolves when it is gone. */
  async stop(graceMs: number): Promise<void> {
    this.#isStopping = true
    clearTimeout(this.#restart)
    this.#readiness?.stop()
    if (this.#child === undefined) return
    const startMs = performance.now()
    await this.#untilEnded(startMs + Math.min(graceMs, this.#options.container.preStopMs))
    this.#signal('SIGTERM')
    await this.#untilEnded(startMs + graceMs)
    this.#signal('SIGKILL')
    await this.#untilEnded(Infinity)
    // What it started may have outlived it.
    this.#signal('SIGKILL')
  }

  async #untilEnded(deadlineMs: number): Promise<void> {
    while (this.#state.kind === 'running' && performance.now() < deadlineMs) {
      await new Promise((resolve) => setTimeout(resolve, pollMs))
    }
  }

  /** Leaves it to run on, and whatever becomes of it to the next process. */
  abandon(): void {
    this.#isStopping = true
    clearTimeout(this.#restart)
    this.#readiness?.stop()
    this.#child?.unref()
  }

  #ended(exitCode: number, startedAtMs: number): void {
    if (this.#state.kind !== 'running') return
    this.#readiness?.stop()
    const finishedAtMs = Date.now()
    const ended: ContainerState = { kind: 'terminated', exitCode, startedAtMs, finishedAtMs }
    this.#state = ended
    if (!this.#isStopping && this.#isToRestart(exitCode)) {
      if (finishedAtMs - startedAtMs > healthyMs) this.#backoffMs = firstRestartMs
      this.#last = ended
      const message = `exit code ${exitCode}; starts again in ${this.#backoffMs} ms`
      this.#state = { kind: 'waiting', reason: 'CrashLoopBackOff', message }
      this.#restart = setTimeout(() => this.#startAgain(), this.#backoffMs)
      this.#backoffMs = Math.min(this.#backoffMs * 2, longestRestartMs)
    }
    this.#options.changed()
  }

  #startAgain(): void {
    this.#restartCount++
    this.start()
    this.#options.changed()
  }

  #isToRestart(exitCode: number): boolean {
    const { restartPolicy } = this.#options.pod
    return restartPolicy === 'Always' || (restartPolicy === 'OnFailure' && exitCode !== 0)
  }

  #signal(signal: NodeJS.Signals): void {
    const pid = this.#child?.pid
    if (pid === undefined) return
    try {
      process.kill(-pid, signal)
    } catch {
      // the whole group has ended
    }
  }
}

/** setpriv(1) becomes the command itself. */
function asUser({ runAsUser, runAsGroup = runAsUser }: PodContainer): readonly string[] {
  if (runAsUser === undefined) return []
  return ['setpriv', `--reuid=${runAsUser}`, `--regid=${runAsGroup ?? runAsUser}`, '--clear-groups', '--']
}

/** Of the downward API what programs ask for most; nothing of this process's own but PATH. */
function environment(pod: ClusterPod, entries: readonly EnvEntry[], address: string): NodeJS.ProcessEnv {
  const fields: Readonly<Record<string, string | undefined>> = {
    'metadata.name': pod.metadata.name,
    'metadata.namespace': pod.metadata.namespace,
    'metadata.uid': pod.metadata.uid,
    'spec.nodeName': pod.nodeName,
    'status.podIP': address,
  }
  const given = entries.map(({ name, value, fieldPath }) => {
    return [name, value ?? (fieldPath === undefined ? '' : (fields[fieldPath] ?? ''))] as const
  })
  return { PATH: process.env['PATH'], HOSTNAME: pod.metadata.name, ...Object.fromEntries(given) }
}
