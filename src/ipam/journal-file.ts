import { renameSync, rmSync, statSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import type { Logger } from '../base/logger.ts'
import { err, ok, type Result } from '../base/result.ts'
import { type AddressRow, parseRow } from './journal-row.ts'
import { inspectSchema, migrate } from './journal-schema.ts'
import { sqliteFailure } from './sqlite-failure.ts'

export interface JournalFile {
  readonly db: DatabaseSync
  readonly rows: readonly AddressRow[]
  /** Where a damaged journal was put, if this one starts empty because of it. */
  readonly movedAsideTo: string | undefined
}

export type JournalFileError =
  | { readonly kind: 'busy'; readonly path: string; readonly problem: string }
  | { readonly kind: 'newer-version'; readonly path: string; readonly found: number; readonly supported: number }
  | { readonly kind: 'unusable'; readonly path: string; readonly problem: string }

type Opened = Omit<JournalFile, 'movedAsideTo'>
type Damage = { readonly kind: 'corrupt'; readonly problem: string }

/** How long a statement waits when an operator's sqlite3 holds the write lock. It blocks the agent, so it is short. */
const BUSY_TIMEOUT_MS = 1000
/** 1 MiB of write-ahead log, some 85 transitions: then its pages go to the main file and it starts over. */
const CHECKPOINT_PAGES = 256
const WAL_LIMIT_BYTES = 1024 * 1024

/** Opens or creates the journal. One that cannot be read is moved aside, never deleted, and an empty one takes its place. */
export function openJournalFile(path: string, nowMs: number, logger: Logger): Result<JournalFile, JournalFileError> {
  const first = tryOpen(path, logger)
  if (first.ok) return ok({ ...first.value, movedAsideTo: undefined })
  if (first.error.kind !== 'corrupt') return err(first.error)
  const movedAsideTo = `${path}.corrupt-${nowMs}`
  try {
    moveAside(path, movedAsideTo)
  } catch (error) {
    const problem = `it is damaged (${first.error.problem}) and cannot be moved aside: ${String(error)}`
    return err({ kind: 'unusable', path, problem })
  }
  logger.error('journal.corrupt', { path, problem: first.error.problem, movedAsideTo, startsEmpty: true })
  const second = tryOpen(path, logger)
  if (second.ok) return ok({ ...second.value, movedAsideTo })
  if (second.error.kind !== 'corrupt') return err(second.error)
  return err({ kind: 'unusable', path, problem: `a new file is damaged at once: ${second.error.problem}` })
}

function tryOpen(path: string, logger: Logger): Result<Opened, JournalFileError | Damage> {
  const orphan = findOrphanedLog(path)
  if (orphan !== undefined) return err(orphan)
  let db: DatabaseSync | undefined
  try {
    db = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS })
    const opened = prepare(db, path, logger)
    if (!opened.ok) db.close()
    return opened
  } catch (error) {
    if (db?.isOpen === true) db.close()
    const { kind, problem } = sqliteFailure(error)
    return err({ kind, path, problem })
  }
}

function prepare(db: DatabaseSync, path: string, logger: Logger): Result<Opened, JournalFileError | Damage> {
  const schema = inspectSchema(db)
  if (schema.kind === 'foreign') {
    return err({ kind: 'unusable', path, problem: 'it is the database of another program' })
  }
  if (schema.kind === 'newer') {
    return err({ kind: 'newer-version', path, found: schema.found, supported: schema.supported })
  }
  if (db.prepare('pragma journal_mode = wal').get()?.['journal_mode'] !== 'wal') {
    return err({ kind: 'unusable', path, problem: 'the file system cannot hold a write-ahead log' })
  }
  db.exec(`
    pragma synchronous = full;
    pragma wal_autocheckpoint = ${CHECKPOINT_PAGES};
    pragma journal_size_limit = ${WAL_LIMIT_BYTES};
  `)
  const damage = db.prepare('pragma integrity_check(1)').get()?.['integrity_check']
  if (damage !== 'ok') return err({ kind: 'corrupt', problem: String(damage) })
  if (schema.kind === 'older') {
    migrate(db, schema.found)
    logger.info('journal.migrated', { path, from: schema.found })
  }
  return readRows(db)
}

function readRows(db: DatabaseSync): Result<Opened, Damage> {
  const rows: AddressRow[] = []
  for (const raw of db.prepare('select * from address').all()) {
    const row = parseRow(raw)
    if (!row.ok) return err({ kind: 'corrupt', problem: row.error })
    rows.push(row.value)
  }
  return ok({ db, rows })
}

/** SQLite deletes a log whose main file is missing or empty, without a word; transitions may be in it. */
function findOrphanedLog(path: string): Damage | undefined {
  if (fileSize(`${path}-wal`) === 0 || fileSize(path) > 0) return undefined
  return { kind: 'corrupt', problem: 'the main file is missing or empty although its write-ahead log is not' }
}

function fileSize(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}

/**
 * The main file first: a crash in between leaves an orphaned log, which the next start moves aside too. The other way round, it
 * would leave a main file that looks whole and has lost its newest transitions.
 */
function moveAside(path: string, target: string): void {
  if (statSync(path, { throwIfNoEntry: false }) !== undefined) renameSync(path, target)
  // Named so that `sqlite3 TARGET` still finds the log.
  if (statSync(`${path}-wal`, { throwIfNoEntry: false }) !== undefined) renameSync(`${path}-wal`, `${target}-wal`)
  // An index of the log, rebuilt when missing.
  rmSync(`${path}-shm`, { force: true })
}
