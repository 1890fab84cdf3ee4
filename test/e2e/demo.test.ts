import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { describe, expect, it } from 'vitest'
import { listLabs } from '../../src/lab/lab-store.ts'
import { defaultScenarioFile } from '../../src/lab/scenario-file.ts'
import { printed } from './test-lab.ts'

const vcnctl = `${import.meta.dirname}/../../bin/vcnctl`
const timeout = 180_000

describe('the demo', { timeout }, () => {
  it('brings a cluster up, lets it grow and shrink, passes all its checks, and removes its lab', async () => {
    const { exitCode, output } = await demo()
    expect(output).toMatch(/All 60 checks hold, in [\d.]+ s\.\n$/)
    expect(exitCode).toBe(0)
    // Seven interfaces of the way between nodes, each seen by tcpdump.
    expect(output).toMatch(/pod api-1.*\n.*node worker-1 .*\n.*node worker-1 +ens4.*\n.*VCN +worker-1\.ens4/)
    for (const claim of [
      'the agents took the taint vcn-cni/not-ready away',
      'all 60 pods run, each with an address of its own',
      'cloud, NativePodNetworks and journals agree about every one of them',
      'each was marked by the controller, then confirmed by its agent, then released',
      'the subnet has them back: the cloud has assigned 15 addresses again, as before',
      'nothing leaked: cloud, NativePodNetworks and journals agree',
      'kubectl shows every node’s network in state SUCCESS',
      'every backend has its share, and nobody else got any',
      'each of 3 clients stays with its backend',
      'for every pair it says what the packets say',
      'of the request to meshed-2, and of its answer, nothing can',
      'each saw the other’s certificate',
    ]) {
      expect(output).toContain(`✔ ${claim}\n`)
    }
    expect(output).toMatch(/✔ \d+ connections meanwhile, none fails\n/)
    expect(output).not.toContain('\u001b')
  })

  it('shows the packets of a lab that is no cluster, and says what it leaves out', async () => {
    const { exitCode, output } = await demo('--scenario', defaultScenarioFile)
    expect(output).toContain('This lab is no cluster')
    expect(output).toMatch(/All 19 checks hold, in [\d.]+ s\.\n$/)
    expect(exitCode).toBe(0)
  })

  it('fails, and says by what, when the network does not do what it should', async () => {
    const directory = mkdtempSync(`${tmpdir()}/demo-test-`)
    try {
      const file = `${directory}/narrow.yaml`
      writeFileSync(file, `${readFileSync(defaultScenarioFile, 'utf8')}\nagent: { mtuBytes: 1500 }\n`)
      const { exitCode, output } = await demo('--scenario', file)
      expect(exitCode).toBe(1)
      expect(output).toMatch(/1 of 19 checks fail, after [\d.]+ s:\n +✘ packets of 9000 bytes pass between nodes/)
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })

  it('removes its lab when it is interrupted while the cluster grows', async () => {
    const { exitCode, output } = await followed(startDemo(), async (child) => {
      await printed(child, 'Growing: 60 pods more')
      child.kill('SIGINT')
    })
    expect(output).not.toContain('checks hold')
    expect(exitCode).toBe(130)
  })
})

function demo(...flags: readonly string[]): Promise<Ended> {
  return followed(startDemo(...flags), () => Promise.resolve())
}

interface Ended {
  readonly exitCode: number | null
  readonly output: string
}

function startDemo(...flags: readonly string[]): ChildProcess {
  return spawn(vcnctl, ['demo', ...flags], { stdio: ['ignore', 'pipe', 'inherit'] })
}

/** Until its end, which leaves no lab, however it comes. */
async function followed(child: ChildProcess, meanwhile: (child: ChildProcess) => Promise<void>): Promise<Ended> {
  let output = ''
  child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const closed = once(child, 'close') as Promise<[number | null]>
  await meanwhile(child)
  const [exitCode] = await closed
  const name = / lab (demo[0-9a-f]+): /.exec(output)?.[1]
  expect(name).toBeDefined()
  expect(listLabs()).not.toContain(name)
  return { exitCode, output }
}
