import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { test } from 'vitest'
import { labDown } from '../../src/lab/lab-down.ts'
import { labDirectory } from '../../src/lab/names.ts'
import { listNamedNetns } from '../../src/linux/netns.ts'
import { uniqueLabName } from './fabric-fixture.ts'

export const vcnctl = `${import.meta.dirname}/../../bin/vcnctl`

/** Two nodes with a node VNIC and a pod VNIC each, and a pod on each. */
export const smallScenario = `
vcn: { cidr: 10.0.0.0/16 }
subnets: [{ name: nodes, cidr: 10.0.0.0/24 }, { name: pods, cidr: 10.0.4.0/22 }]
nodes:
  - name: n1
    vnics:
      - { name: ens3, subnet: nodes, primary: true }
      - { name: ens5, subnet: pods, secondaryAddresses: 4 }
  - name: n2
    vnics:
      - { name: ens3, subnet: nodes, primary: true }
      - { name: ens5, subnet: pods, secondaryAddresses: 4 }
pods: [{ name: p1, node: n1 }, { name: p2, node: n2 }]
`

export interface ClusterScenario {
  readonly preferBlocks: boolean
  readonly shrinkDelaySeconds: number
  /** YAML of the sets of pods. */
  readonly sets: string
}

/** Two workers of a cluster, without pod VNICs: the controller attaches those, and everything is quick. */
export function clusterScenario({ preferBlocks, shrinkDelaySeconds, sets }: ClusterScenario): string {
  return `
vcn: { cidr: 10.0.0.0/16 }
subnets: [{ name: nodes, cidr: 10.0.0.0/24 }, { name: pods, cidr: 10.0.4.0/22 }]
nodes:
  - { name: n1, vnics: [{ name: ens3, subnet: nodes, primary: true }] }
  - { name: n2, vnics: [{ name: ens3, subnet: nodes, primary: true }] }
agent: { cooldownSeconds: 1 }
cluster:
  podSubnets: [pods]
  elastic: { minimumAddresses: 2, warmAddresses: 1, preferBlocks: ${preferBlocks} }
  controller: { shrinkDelaySeconds: ${shrinkDelaySeconds}, resyncSeconds: 10, attachPollSeconds: 0.1 }
  cloud: { attachSeconds: 0.2, detachSeconds: 0.2, subnetUpdateSeconds: 0.2 }
  sets: ${sets}
`
}

export interface Outcome {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A lab's name and what a test does with it through the command line; afterwards nothing of it is left. */
export class TestLab implements AsyncDisposable {
  readonly name = uniqueLabName()
  readonly scenarioFile: string
  readonly #directory = mkdtempSync(`${tmpdir()}/vcn-lab-test-`)
  readonly #children = new Set<ChildProcess>()
  #closed = false

  constructor() {
    this.scenarioFile = `${this.#directory}/scenario.yaml`
    this.writeScenario(smallScenario)
  }

  writeScenario(text: string): void {
    writeFileSync(this.scenarioFile, text)
  }

  /** `vcnctl lab …` with this lab's name and `words`, to its end. */
  async run(subcommand: string, ...words: readonly string[]): Promise<Outcome> {
    const child = this.start(subcommand, ...words)
    let [stdout, stderr] = ['', '']
    child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
    child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
    child.stdin?.end()
    const [exitCode] = await ended(child)
    return { exitCode, stdout, stderr }
  }

  start(subcommand: string, ...words: readonly string[]): ChildProcess {
    // A test that has run out of time goes on in the background: it must not begin anything new.
    if (this.#closed) throw new Error(`lab ${this.name} has been removed`)
    const child = spawn(vcnctl, ['lab', ...subcommand.split(' '), '--name', this.name, ...words])
    this.#children.add(child)
    child.once('exit', () => this.#children.delete(child))
    return child
  }

  async up(...flags: readonly string[]): Promise<void> {
    const { exitCode, stderr } = await this.run('up', '--scenario', this.scenarioFile, ...flags)
    if (exitCode !== 0) throw new Error(`up: ${stderr}`)
  }

  startUp(): ChildProcess {
    return this.start('up', '--scenario', this.scenarioFile)
  }

  /** Processes that were told the lab's directory: its agents. */
  processes(): readonly number[] {
    return readdirSync('/proc').flatMap((entry) => {
      if (!/^\d+$/.test(entry)) return []
      try {
        const command = readFileSync(`/proc/${entry}/cmdline`, 'utf8')
        return command.includes(`${labDirectory(this.name)}/`) ? [Number(entry)] : []
      } catch {
        return []
      }
    })
  }

  /** Everything on this machine that carries the lab's name. */
  remains(): readonly string[] {
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n')
    return [
      ...listNamedNetns().filter((netns) => netns.startsWith(`vl-${this.name}-`)),
      ...(existsSync(labDirectory(this.name)) ? [labDirectory(this.name)] : []),
      ...this.processes().map((pid) => `process ${pid}`),
      ...mounts.filter((line) => line.includes(`vl-${this.name}-`) || line.includes(`${labDirectory(this.name)}/`)),
    ]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    for (const child of this.#children) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    await labDown(this.name)
    rmSync(this.#directory, { recursive: true, force: true })
  }
}

/** `it` with a lab of its own. */
export const labTest = test.extend<{ lab: TestLab }>({
  // vitest reads the names of other fixtures out of the first parameter, so it has to be a pattern.
  lab: async ({ task: _task }, use) => {
    await using lab = new TestLab()
    await use(lab)
  },
})

/** How a child ended, once its output is complete too. */
export async function ended(child: ChildProcess): Promise<readonly [exitCode: number | null, signal: string | null]> {
  return (await once(child, 'close')) as [number | null, string | null]
}

/** Waits until a child has printed something. */
export function printed(child: ChildProcess, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let output = ''
    child.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString()
      if (output.includes(text)) resolve()
    })
    child.once('exit', () => {
      reject(new Error(`it ended before it printed ${JSON.stringify(text)}: ${output}`))
    })
  })
}
