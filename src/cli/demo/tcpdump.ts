import type { ChildProcess } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { spawnInNetns } from '../../lab/netns-process.ts'

const readyTimeoutMs = 5_000
// Root is given up by default, for a user that may not exist.
const always = ['-i', 'any', '-n', '-l', '--immediate-mode', '-Z', 'root']

/** tcpdump on every interface of a namespace at once. */
export class Tcpdump {
  readonly #netns: string
  readonly #child: ChildProcess
  readonly #ended: Promise<void>
  #stdout = ''
  #stderr = ''

  /** `flags` say what is printed of a packet. */
  constructor(netns: string, flags: readonly string[], filter: string) {
    this.#netns = netns
    this.#child = spawnInNetns(netns, ['tcpdump', ...always, ...flags, filter], { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child.stdout?.on('data', (chunk: Buffer) => (this.#stdout += chunk.toString('latin1')))
    this.#child.stderr?.on('data', (chunk: Buffer) => (this.#stderr += chunk.toString('latin1')))
    this.#ended = new Promise((resolve) => {
      this.#child.once('close', () => {
        resolve()
      })
      this.#child.once('error', (error) => {
        this.#stderr += error.message
        resolve()
      })
    })
  }

  async ready(signal: AbortSignal): Promise<void> {
    const deadline = performance.now() + readyTimeoutMs
    while (!this.#stderr.includes('listening on')) {
      if (this.#child.exitCode !== null || performance.now() > deadline) {
        throw new Error(`tcpdump does not run in ${this.#netns}: ${this.#stderr.trim()}`)
      }
      await sleep(10, undefined, { signal })
    }
  }

  /** All that it printed. */
  async stop(): Promise<string> {
    this.#child.kill('SIGINT')
    await this.#ended
    return this.#stdout
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }
}
