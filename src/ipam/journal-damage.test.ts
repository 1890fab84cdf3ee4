import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { isDeepStrictEqual } from 'node:util'
import { describe, expect, it, test } from 'vitest'
import { type LogFields, silentLogger } from '../base/logger.ts'
import { BOOT_ID, byAddress, openJournal, readJournal, TempDirectory, testAddress, testIntent } from './ipam.fixture.ts'
import { describeJournalOpenError } from './journal-error.ts'
import type { AddressRow } from './journal-row.ts'
import { modelAfter, type Model, randomStep, seededRandom, takeStep } from './journal-steps.fixture.ts'
import { Journal } from './journal.ts'

/** Main file and log of a journal in the middle of its work, and what it held after each transition. */
interface Recording {
  readonly main: Buffer
  readonly log: Buffer
  readonly history: readonly (readonly AddressRow[])[]
}

function record(steps: number): Recording {
  using directory = new TempDirectory()
  const path = directory.join('journal.db')
  using journal = openJournal(path)
  const random = seededRandom(4711)
  let model: Model = new Map()
  const history = [byAddress(model.values())]
  for (let nowMs = 1; nowMs <= steps; nowMs++) {
    const step = randomStep(journal.view(nowMs), random, nowMs)
    takeStep(journal, step)
    model = modelAfter(model, step)
    history.push(byAddress(model.values()))
  }
  // In a process of its own: closing a descriptor of the file in this one would drop SQLite's locks (fcntl(2)).
  const read = (file: string): Buffer => execFileSync('cat', [file], { maxBuffer: 2 ** 24 })
  return { main: read(path), log: read(`${path}-wal`), history }
}

/** How many transitions the journal holds when it is found like this. */
function transitionsIn({ history, main }: Recording, log: Buffer, path: string): number {
  writeFileSync(path, main)
  writeFileSync(`${path}-wal`, log)
  const found = readJournal(path)
  return history.findLastIndex((rows) => isDeepStrictEqual(rows, found))
}

describe('a write-ahead log', () => {
  const recording = record(12)
  const last = recording.history.length - 1
  const frameBytes = 24 + 4096
  const isNearFrame = (offset: number): boolean => (offset - 32 + 3) % frameBytes <= 6
  const offsets = Array.from({ length: recording.log.length + 1 }, (_, offset) => offset)
  const sample = offsets.filter((offset) => offset <= 64 || offset % 211 === 0 || isNearFrame(offset))

  it(`cut off at any of ${sample.length} places leaves a journal as it was after some transition, ever later ones`, () => {
    using directory = new TempDirectory()
    const path = directory.join('journal.db')
    const found = sample.map((length) => transitionsIn(recording, recording.log.subarray(0, length), path))
    expect(found[0]).toBe(0)
    expect(found).toEqual(found.toSorted((a, b) => a - b))
    expect(new Set(found).size).toBe(last + 1)
    expect(transitionsIn(recording, recording.log, path)).toBe(last)
  })

  it('with one wrong byte leaves a journal as it was after some transition', () => {
    using directory = new TempDirectory()
    const path = directory.join('journal.db')
    const found = offsets
      .filter((offset) => offset % 1009 === 0)
      .map((offset) => {
        const log = Buffer.from(recording.log)
        log.writeUInt8(log.readUInt8(offset) ^ 0x10, offset)
        return transitionsIn(recording, log, path)
      })
    expect(found).not.toContain(-1)
    expect(found).toEqual(found.toSorted((a, b) => a - b))
  })
})

/** A closed journal with 200 attachments: some 30 pages. */
function writeLargeJournal(path: string): void {
  using journal = openJournal(path)
  for (let index = 0; index < 200; index++) journal.intend(testIntent(`pod-${index}`, testAddress(index), 1))
}

describe('a journal that cannot be read', () => {
  test.each<[string, (path: string) => void]>([
    [
      'not a database',
      (path) => writeFileSync(path, 'this is not a database, but it is long enough to look at'.repeat(20)),
    ],
    [
      'a page of zeros in the middle',
      (path) => {
        writeLargeJournal(path)
        writeFileSync(path, readFileSync(path).fill(0, 4 * 4096, 5 * 4096))
      },
    ],
    [
      'cut off in the middle',
      (path) => {
        writeLargeJournal(path)
        writeFileSync(path, readFileSync(path).subarray(0, 10_000))
      },
    ],
    [
      'an index that says something else than its row',
      (path) => {
        {
          using journal = openJournal(path)
          journal.intend(testIntent('pod', testAddress(0), 1))
        }
        const file = readFileSync(path)
        file.write('oci-xyz', file.indexOf('oci-pod'))
        writeFileSync(path, file)
      },
    ],
    [
      'a row that only another program can have written',
      (path) => {
        writeLargeJournal(path)
        using db = new DatabaseSync(path)
        db.exec(`update address set address = 'ten dot eight' where address = '10.0.8.1'`)
      },
    ],
    [
      'a log without its main file',
      (path) => {
        const { log } = record(3)
        writeFileSync(`${path}-wal`, log)
      },
    ],
    [
      'a log beside an empty main file',
      (path) => {
        const { log } = record(3)
        writeFileSync(path, '')
        writeFileSync(`${path}-wal`, log)
      },
    ],
  ])('is moved aside, told to the log, and an empty one works in its place: %s', (_, write) => {
    using directory = new TempDirectory()
    const path = directory.join('journal.db')
    write(path)
    const found = readdirSync(directory.path).filter(
      (file) => /^journal\.db(-wal)?$/.test(file) && sizeOf(directory, file) > 0,
    )
    const errors: unknown[] = []
    const logger = { ...silentLogger, error: (event: string, fields?: LogFields) => errors.push([event, fields]) }
    const movedAsideTo = `${path}.corrupt-1234`
    {
      using journal = openJournal(path, { logger, clock: { nowMs: () => 1234, monotonicMs: () => 0 } })
      expect(journal.movedAsideTo).toBe(movedAsideTo)
      expect(journal.all()).toEqual([])
      expect(journal.intend(testIntent('web', testAddress(0), 1))).toMatchObject({ ok: true })
    }
    expect(errors).toMatchObject([['journal.corrupt', { path, movedAsideTo, startsEmpty: true }]])
    const kept = readdirSync(directory.path)
    expect(kept).toEqual(
      expect.arrayContaining(found.map((file) => file.replace('journal.db', 'journal.db.corrupt-1234'))),
    )
    expect(readJournal(path)).toHaveLength(1)
  })
})

function sizeOf(directory: TempDirectory, file: string): number {
  return statSync(directory.join(file)).size
}

describe('a file that is not ours to touch', () => {
  test.each([
    [
      'of a later version',
      'pragma application_id = 1986227818; pragma user_version = 99',
      /has version 99, this agent knows versions up to 1/,
    ],
    ['of another program', 'create table photo (id integer)', /is the database of another program/],
    [
      'of another program with a version',
      'create table photo (id integer); pragma user_version = 1',
      /is the database of another program/,
    ],
  ])('is refused and left as it is: %s', (_, sql, sentence) => {
    using directory = new TempDirectory()
    const path = directory.join('journal.db')
    {
      using db = new DatabaseSync(path)
      db.exec(sql)
    }
    const before = readFileSync(path)
    const opened = Journal.open(path, { bootId: BOOT_ID })
    expect(opened.ok ? 'opened' : describeJournalOpenError(opened.error)).toMatch(sentence)
    expect(readFileSync(path)).toEqual(before)
    expect(readdirSync(directory.path)).toEqual(['journal.db', 'journal.db.lock'])
  })
})
