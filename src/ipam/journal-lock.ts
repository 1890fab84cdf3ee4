import { readFileSync, statSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { err, ok, type Result } from '../base/result.ts'
import { type SqliteFailure, sqliteFailure } from './sqlite-failure.ts'

/** SQLite's lock bytes start at 1 GiB (https://sqlite.org/fileformat2.html#the_lock_byte_page). */
const PENDING_BYTE = 0x4000_0000

export type LockError = { readonly kind: 'held'; readonly holderPid: number | undefined } | SqliteFailure

/**
 * Holds `path` until disposed; the kernel drops it when the process dies, however it dies.
 *
 * It is an exclusive transaction on an empty SQLite database, that is, a POSIX record lock on the file: the one lock Node can take
 * without foreign code. It works between containers that share the directory, where a written-down process id would say nothing.
 * The journal cannot be locked so itself, or `sqlite3 journal.db` could not read it. Nothing else in this process may open the
 * file: closing any descriptor of a file drops the process's record locks on it (fcntl(2)).
 */
export function acquireLock(path: string): Result<Disposable, LockError> {
  let db: DatabaseSync | undefined
  try {
    db = new DatabaseSync(path, { timeout: 0 })
    // Otherwise the transaction, although it writes nothing, leaves a rollback journal behind after kill -9.
    db.exec('pragma journal_mode = memory; begin exclusive')
  } catch (error) {
    db?.close()
    const failure = sqliteFailure(error)
    return err(failure.kind === 'busy' ? { kind: 'held', holderPid: findHolder(path) } : failure)
  }
  const held = db
  return ok({ [Symbol.dispose]: () => held.close() })
}

/** From the kernel's list (proc_locks(5)): `1: POSIX  ADVISORY  WRITE 4711 fe:00:1234 1073741824 1073742335`. */
function findHolder(path: string): number | undefined {
  try {
    const inode = statSync(path).ino
    for (const line of readFileSync('/proc/locks', 'utf8').split('\n')) {
      const [, , , , pid, file, start] = line.trim().split(/\s+/)
      // A holder in another process-id namespace is listed as 0 or less.
      if (file?.endsWith(`:${inode}`) && Number(start) >= PENDING_BYTE && Number(pid) > 0) return Number(pid)
    }
  } catch {
    // Only ever a help in the error's text.
  }
  return undefined
}
