import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { TempDirectory } from './ipam.fixture.ts'

const canTrace = spawnSync('strace', ['-o', '/dev/null', 'true']).status === 0
if (!canTrace) console.warn('skipped: that commit and release sync the log, which takes a working strace')

interface TracedStep {
  readonly kind: string
  readonly syncs: number
}

/** What `journal.crash-child.ts` did between telling of a step and acknowledging it, as the kernel saw it. */
function parseTrace(trace: string): readonly TracedStep[] {
  const steps: TracedStep[] = []
  let kind: string | undefined
  let syncs = 0
  for (const line of trace.split('\n')) {
    const begun = /write\(1<[^>]*>, "try \{\\"kind\\":\\"(\w+)\\"/.exec(line)
    if (begun !== null) {
      kind = begun[1]
      syncs = 0
    } else if (/ (?:fsync|fdatasync)\(\d+<[^>]*journal\.db-wal>/.test(line)) syncs++
    else if (/write\(1<[^>]*>, "ok/.test(line) && kind !== undefined) {
      steps.push({ kind, syncs })
      kind = undefined
    }
  }
  return steps
}

describe.skipIf(!canTrace)('between the call of a transition and its return', () => {
  it('commit and release sync the log, and the others leave that to them', () => {
    using directory = new TempDirectory()
    const trace = directory.join('trace')
    const child = [
      process.execPath,
      join(import.meta.dirname, 'journal.crash-child.ts'),
      directory.join('journal.db'),
      '1',
    ]
    const strace = ['-f', '-y', '-s', '32', '-e', 'trace=write,fsync,fdatasync', '-o', trace, ...child]
    // The child works until the pipe is full of what it has to say: stopped by the size of its output, not by a clock.
    spawnSync('strace', strace, { maxBuffer: 32 * 1024, killSignal: 'SIGTERM' })
    const steps = parseTrace(readFileSync(trace, 'utf8'))
    const synced = steps.filter(({ kind }) => kind === 'commit' || kind === 'release')
    const buffered = steps.filter(({ kind }) => kind === 'intend' || kind === 'beginRelease' || kind === 'forget')
    expect(Math.min(synced.length, buffered.length)).toBeGreaterThan(20)
    expect(synced.filter(({ syncs }) => syncs === 0)).toEqual([])
    // The log's start and a checkpoint sync it whatever the transition.
    expect(buffered.filter(({ syncs }) => syncs > 0).length).toBeLessThan(buffered.length / 10)
  })
})
