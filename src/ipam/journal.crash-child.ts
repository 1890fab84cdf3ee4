// Run by journal-crash.test.ts: takes random steps until it is killed, and says so before and after each.
//     node journal.crash-child.ts JOURNAL SEED
import { writeSync } from 'node:fs'
import { openJournal } from './ipam.fixture.ts'
import { randomStep, seededRandom, takeStep } from './journal-steps.fixture.ts'

const [, , path, seed] = process.argv
if (path === undefined || seed === undefined) throw new Error('usage: journal.crash-child.ts JOURNAL SEED')

const random = seededRandom(Number(seed))
using journal = openJournal(path)
// Time of its own, that goes on where the child before was killed.
let nowMs = Math.max(
  0,
  ...journal.all().map((row) => ('releasedMs' in row ? Math.max(row.createdMs, row.releasedMs) : row.createdMs)),
)
for (;;) {
  nowMs++
  const step = randomStep(journal.view(nowMs), random, nowMs)
  // A write to a pipe that has returned survives the writer.
  writeSync(1, `try ${JSON.stringify(step)}\n`)
  takeStep(journal, step)
  writeSync(1, 'ok\n')
}
