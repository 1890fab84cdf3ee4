import { type ChildProcess, spawn } from 'node:child_process'
import { openSync, closeSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { testKey } from '../src/lab/oci-api/cloud.fixture.ts'
import { endProcess } from './child-questions.ts'
import { processCpuSeconds, type ProcessMemory, processMemory } from './process-memory.ts'
import type { CloudAccess } from './storm-messages.ts'

export interface ControllerWishes {
  readonly preferBlocks: boolean
  readonly workers: number
}

const vcnctl = fileURLToPath(new URL('../bin/vcnctl', import.meta.url))

/** The program itself, as it is deployed: its defaults, Oracle's SDK, a lease. It ends with its scope. */
export class ControllerProcess implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #logFile: string

  /** `directory` is made, for its files. */
  constructor(
    directory: string,
    { endpoint, kubeconfig, podSubnetId, privateKey }: CloudAccess,
    wishes: ControllerWishes,
  ) {
    mkdirSync(directory)
    const path = (name: string): string => join(directory, name)
    const { tenancyId, userId, fingerprint } = testKey
    const privateKeyFile = path('key.pem')
    const config = {
      cluster: 'storm',
      oci: { authentication: { kind: 'key', tenancyId, userId, fingerprint, privateKeyFile }, endpoint, region: 'lab' },
      defaults: { podSubnetIds: [podSubnetId], elastic: { preferBlocks: wishes.preferBlocks } },
      workers: wishes.workers,
      logLevel: 'warn',
    }
    writeFileSync(privateKeyFile, privateKey, { mode: 0o600 })
    writeFileSync(path('kubeconfig'), kubeconfig, { mode: 0o600 })
    // JSON is YAML.
    writeFileSync(path('controller.yaml'), JSON.stringify(config))
    this.#logFile = path('log')
    const log = openSync(this.#logFile, 'w')
    const flags = ['--config', path('controller.yaml'), '--kubeconfig', path('kubeconfig'), '--identity', 'storm']
    this.#child = spawn(vcnctl, ['controller', ...flags], { stdio: ['ignore', log, log] })
    closeSync(log)
  }

  /** Throws, with the last it has said, when it has ended. */
  checkAlive(): void {
    const { exitCode, signalCode } = this.#child
    if (exitCode === null && signalCode === null) return
    throw new Error(
      `the controller ended (${exitCode ?? signalCode}): ${readFileSync(this.#logFile, 'utf8').slice(-2000)}`,
    )
  }

  memory(): ProcessMemory {
    this.checkAlive()
    return processMemory(this.#child.pid ?? 0)
  }

  cpuSeconds(): number {
    this.checkAlive()
    return processCpuSeconds(this.#child.pid ?? 0)
  }

  /** Lines of the log by their event: warnings and errors. */
  complaints(): Readonly<Record<string, number>> {
    const counts: Record<string, number> = {}
    for (const line of readFileSync(this.#logFile, 'utf8').split('\n')) {
      const event = /"event":"([^"]+)"/.exec(line)?.[1] ?? line.slice(0, 80)
      if (event !== '') counts[event] = (counts[event] ?? 0) + 1
    }
    return counts
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await endProcess(this.#child)
  }
}
