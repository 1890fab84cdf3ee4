import http from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { openNetns } from '../../linux/netns.ts'
import { captureInNetns } from '../netns-process.ts'
import { netnsPath } from '../names.ts'
import { connectIn } from '../../linux/tcp-attempt.ts'
import { type ClusterPod, type Probe, resolvePort } from './cluster-pod.ts'

export interface ReadinessOptions {
  readonly probe: Probe
  readonly pod: ClusterPod
  readonly netns: string
  readonly nodeNetns: string
  readonly address: string
  readonly changed: () => void
}

/** A readiness probe, made as a kubelet makes it: connections come from the node. Not ready before the first success. */
export class Readiness {
  readonly #options: ReadinessOptions
  #stopped = new AbortController()
  #ready = false

  constructor(options: ReadinessOptions) {
    this.#options = options
  }

  get ready(): boolean {
    return this.#ready
  }

  start(): void {
    this.#stopped = new AbortController()
    void this.#run(this.#stopped.signal)
  }

  stop(): void {
    this.#stopped.abort()
    this.#ready = false
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { probe, changed } = this.#options
    let inARow = 0
    await pause(probe.initialDelayMs, signal)
    while (!signal.aborted) {
      const isOpposite = (await succeeds(this.#options, signal)) !== this.#ready
      // The signal may have aborted during the check, which the type checker does not see.
      if (isAborted(signal)) return
      inARow = isOpposite ? inARow + 1 : 0
      if (inARow >= (this.#ready ? probe.failureThreshold : probe.successThreshold)) {
        this.#ready = !this.#ready
        inARow = 0
        changed()
      }
      // Until it is ready for the first time a kubelet hurries too (pkg/kubelet/prober, "readiness probes on start").
      await pause(this.#ready ? probe.periodMs : Math.min(probe.periodMs, eagerPeriodMs), signal)
    }
  }
}

const eagerPeriodMs = 500

async function succeeds(options: ReadinessOptions, stopped: AbortSignal): Promise<boolean> {
  const { probe, pod, netns } = options
  const signal = AbortSignal.any([stopped, AbortSignal.timeout(probe.timeoutMs)])
  try {
    if (probe.check.kind === 'exec')
      return (await captureInNetns(netns, probe.check.command, { signal })).exitCode === 0
    const port = resolvePort(pod, probe.check.port)
    if (port === undefined) return false
    const path = probe.check.kind === 'http' ? probe.check.path : undefined
    return await connects(options, port, path, signal)
  } catch {
    return false
  }
}

/** With a path, an HTTP answer from 200 to 399 is wanted; without, a connection is enough. */
function connects(
  { nodeNetns, address }: ReadinessOptions,
  port: number,
  path: string | undefined,
  signal: AbortSignal,
): Promise<boolean> {
  const opened = openNetns(netnsPath(nodeNetns))
  if (!opened.ok) return Promise.resolve(false)
  using node = opened.value
  const socket = connectIn(node, address, port)
  return new Promise((resolve) => {
    const settle = (answer: boolean): void => {
      socket.destroy()
      resolve(answer)
    }
    signal.addEventListener('abort', () => settle(false), { once: true })
    socket.on('error', () => settle(false))
    if (path === undefined) {
      socket.once('connect', () => settle(true))
      return
    }
    // No agent, not even `false`: an agent makes connections of its own, in this process's namespace.
    const request = http.get({ host: address, port, path, createConnection: () => socket })
    request.on('error', () => settle(false))
    request.once('response', ({ statusCode = 0 }) => settle(statusCode >= 200 && statusCode < 400))
  })
}

function isAborted(signal: AbortSignal): boolean {
  return signal.aborted
}

async function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  await sleep(delayMs, undefined, { signal }).catch(() => undefined)
}
