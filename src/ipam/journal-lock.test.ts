import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, it } from 'vitest'
import { BOOT_ID, openJournal, readJournal, TempDirectory, testAddress, testIntent } from './ipam.fixture.ts'
import { describeJournalOpenError } from './journal-error.ts'
import { Journal } from './journal.ts'

function refusal(path: string): string {
  const opened = Journal.open(path, { bootId: BOOT_ID })
  if (!opened.ok) return describeJournalOpenError(opened.error)
  opened.value[Symbol.dispose]()
  return 'not refused'
}

it('refuses a second journal in the same process, as often as it is tried', () => {
  using directory = new TempDirectory()
  const path = directory.join('journal.db')
  using journal = openJournal(path)
  const sentence = `journal ${path} is in use by process ${process.pid}: one agent a state directory`
  expect([refusal(path), refusal(path)]).toEqual([sentence, sentence])
  expect(journal.intend(testIntent('web', testAddress(0), 1))).toMatchObject({ ok: true })
})

it('opens again when the first was closed', () => {
  using directory = new TempDirectory()
  const path = directory.join('journal.db')
  openJournal(path)[Symbol.dispose]()
  expect(refusal(path)).toBe('not refused')
})

it('refuses while another process has it, names it, and opens once it was killed', async () => {
  using directory = new TempDirectory()
  const path = directory.join('journal.db')
  const script = join(import.meta.dirname, 'journal.crash-child.ts')
  const child = spawn(process.execPath, [script, path, '1'], { stdio: ['ignore', 'pipe', 'inherit'] })
  const closed = once(child, 'close')
  try {
    for await (const line of createInterface({ input: child.stdout })) if (line === 'ok') break
    expect(refusal(path)).toBe(`journal ${path} is in use by process ${child.pid}: one agent a state directory`)
  } finally {
    child.kill('SIGKILL')
    await closed
  }
  expect(readdirSync(directory.path)).not.toContain('journal.db.lock-journal')
  expect(readJournal(path).length).toBeGreaterThan(0)
})

it('says what is wrong with a place that cannot be used', () => {
  using directory = new TempDirectory()
  const path = directory.join('missing/journal.db')
  expect(refusal(path)).toBe(`journal ${path} cannot be used: lock file ${path}.lock: unable to open database file`)
})
