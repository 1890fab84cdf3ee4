import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { expect, it } from 'vitest'
import { listLabs } from '../../src/lab/lab-store.ts'
import { defaultScenarioFile } from '../../src/lab/scenario-file.ts'

const vcnctl = `${import.meta.dirname}/../../bin/vcnctl`
const timeoutMs = 180_000

it(
  'the demo passes all its checks, and removes its lab',
  async () => {
    const { exitCode, output } = await demo()
    expect(output).toMatch(/All 19 checks hold, in [\d.]+ s\.\n$/)
    expect(exitCode).toBe(0)
    // Seven interfaces of the way between nodes, each seen by tcpdump.
    expect(output).toMatch(/pod api-1.*\n.*node worker-1 .*\n.*node worker-1 +ens5.*\n.*VCN +worker-1\.ens5/)
    expect(output).not.toContain('\u001b')
  },
  timeoutMs,
)

it(
  'the demo fails, and says by what, when the network does not do what it should',
  async () => {
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
  },
  timeoutMs,
)

async function demo(...flags: readonly string[]): Promise<{ exitCode: number | null; output: string }> {
  const child = spawn(vcnctl, ['demo', ...flags], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const [exitCode] = (await once(child, 'close')) as [number | null]
  const name = / lab (demo[0-9a-f]+): /.exec(output)?.[1]
  expect(name).toBeDefined()
  expect(listLabs()).not.toContain(name)
  return { exitCode, output }
}
