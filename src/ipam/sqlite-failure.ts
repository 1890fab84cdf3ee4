/** An SQLite error that has to do with the file or the machine, not with our statements. */
export interface SqliteFailure {
  readonly kind: 'busy' | 'corrupt' | 'unusable'
  readonly problem: string
}

/** Primary result codes, https://sqlite.org/rescode.html. Codes that only a wrong statement of ours can cause are not in here. */
const kindOfCode: Readonly<Record<number, SqliteFailure['kind']>> = {
  3: 'unusable', // SQLITE_PERM
  5: 'busy', // SQLITE_BUSY
  6: 'busy', // SQLITE_LOCKED
  8: 'unusable', // SQLITE_READONLY
  10: 'unusable', // SQLITE_IOERR
  11: 'corrupt', // SQLITE_CORRUPT
  13: 'unusable', // SQLITE_FULL
  14: 'unusable', // SQLITE_CANTOPEN
  26: 'corrupt', // SQLITE_NOTADB
}

/** Rethrows what is not about the file. */
export function sqliteFailure(error: unknown): SqliteFailure {
  if (error instanceof Error && 'errcode' in error && typeof error.errcode === 'number') {
    const kind = kindOfCode[error.errcode & 0xff]
    if (kind !== undefined) return { kind, problem: error.message }
  }
  throw error
}
