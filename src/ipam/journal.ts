import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { type AttachmentKey, formatAttachmentKey } from '../base/attachment.ts'
import { type Clock, systemClock } from '../base/clock.ts'
import type { Ipv4 } from '../base/ip.ts'
import { type Logger, silentLogger } from '../base/logger.ts'
import { err, ok, type Result } from '../base/result.ts'
import { Undo } from '../base/undo.ts'
import { anchorCooldown } from './cooldown.ts'
import type { IntendError, JournalOpenError } from './journal-error.ts'
import { type JournalFile, openJournalFile } from './journal-file.ts'
import { acquireLock } from './journal-lock.ts'
import { type AddressRow, type CoolingRow, encodeRow, type HeldRow, type HeldState, type Intent } from './journal-row.ts'
import { inTransaction } from './journal-schema.ts'

export interface JournalOptions {
  /** Of this boot of the machine: /proc/sys/kernel/random/boot_id (random(4)). */
  readonly bootId: string
  readonly clock?: Clock
  readonly logger?: Logger
}

/**
 * `synced`: on the disk before the call returns. `buffered`: safe from the death of this process, not from a power failure, which may
 * take it back together with everything buffered after it. Enough where a power failure also takes what the record is about.
 */
type Durability = 'synced' | 'buffered'

/**
 * Which attachment holds which address of the node; the agent's only memory across restarts.
 *
 *     absent or cooled down ─intend→ adding ─commit→ attached ─beginRelease→ deleting ─release→ cooling
 *                                    adding ─forget→ as before intend        (adding ─beginRelease→ deleting)
 *
 * Any other transition is a bug of the caller and throws; so does a disk that fails, and then nothing has changed. Reads come from
 * memory. One journal a file: `open` refuses a second one, in this process or another.
 */
export class Journal implements Disposable {
  /** Where a damaged predecessor was put: its attachments are live in the kernel, unknown here. */
  readonly movedAsideTo: string | undefined
  readonly #db: DatabaseSync
  readonly #lock: Disposable
  readonly #bootId: string
  readonly #logger: Logger
  readonly #insert: StatementSync
  readonly #update: StatementSync
  readonly #remove: StatementSync
  readonly #rows = new Map<Ipv4, AddressRow>()
  readonly #heldByKey = new Map<string, HeldRow>()
  readonly #heldByHostIfname = new Map<string, HeldRow>()
  #latestReleaseMs = -Infinity

  /** The directory must exist. Waits for nobody: an agent that is still stopping is the error `locked`. */
  static open(path: string, options: JournalOptions): Result<Journal, JournalOpenError> {
    const { clock = systemClock, logger = silentLogger } = options
    const lock = acquireLock(`${path}.lock`)
    if (!lock.ok) {
      if (lock.error.kind === 'held') return err({ kind: 'locked', path, holderPid: lock.error.holderPid })
      return err({ kind: 'unusable', path, problem: `lock file ${path}.lock: ${lock.error.problem}` })
    }
    using undo = new Undo()
    undo.add(() => lock.value[Symbol.dispose]())
    const file = openJournalFile(path, clock.nowMs(), logger)
    if (!file.ok) return file
    undo.add(() => file.value.db.close())
    const journal = new Journal(file.value, lock.value, options.bootId, logger)
    undo.commit()
    return ok(journal)
  }

  private constructor(file: JournalFile, lock: Disposable, bootId: string, logger: Logger) {
    this.#db = file.db
    this.#lock = lock
    this.#bootId = bootId
    this.#logger = logger
    this.movedAsideTo = file.movedAsideTo
    this.#insert = file.db.prepare(insertSql)
    this.#update = file.db.prepare(updateSql)
    this.#remove = file.db.prepare('delete from address where address = :address and state = :from')
    for (const row of file.rows) this.#remember(row)
  }

  /** Reserves the address before anything is done for it. Buffered: a power failure takes the kernel's objects away too. */
  intend(intent: Intent): Result<HeldRow, IntendError> {
    const sameKey = this.find(intent.key)
    if (sameKey !== undefined) return err({ kind: 'duplicate-key', holder: sameKey })
    const sameName = this.#heldByHostIfname.get(intent.hostIfname)
    if (sameName !== undefined) return err({ kind: 'host-ifname-taken', holder: sameName })
    const before = this.#rows.get(intent.address)
    if (before !== undefined && before.state !== 'cooling') {
      throw new Error(`intend: ${intent.address} is held by ${formatAttachmentKey(before.key)} (${before.state})`)
    }
    if (before !== undefined && intent.createdMs < before.coolingUntilMs) {
      throw new Error(`intend: ${intent.address} cools down until ${before.coolingUntilMs}, and it is ${intent.createdMs}`)
    }
    const previous = before === undefined ? null : cooldownOf(before)
    const row: HeldRow = { ...intent, state: 'adding', ifindex: null, bootId: this.#bootId, previous }
    this.#write(before === undefined ? this.#insert : this.#update, row, 'cooling', 'buffered')
    return ok(row)
  }

  /** The pod's network stands. Synced: from here on somebody has been told that the address is his. */
  commit(key: AttachmentKey, { ifindex }: { readonly ifindex: number }): HeldRow {
    const row = this.#requireHeld('commit', key, ['adding'])
    return this.#write(this.#update, { ...row, state: 'attached', ifindex }, row.state, 'synced')
  }

  /** The kernel's objects are about to be taken away. Repeating it is fine: a DEL is repeated until it succeeds. */
  beginRelease(key: AttachmentKey): HeldRow {
    const row = this.#requireHeld('beginRelease', key, ['adding', 'attached', 'deleting'])
    if (row.state === 'deleting') return row
    return this.#write(this.#update, { ...row, state: 'deleting' }, row.state, 'buffered')
  }

  /** The kernel's objects are gone. Synced: the cooldown protects the next holder, also after a power failure. */
  release(key: AttachmentKey, { nowMs, cooldownMs }: { readonly nowMs: number; readonly cooldownMs: number }): CoolingRow {
    const row = this.#requireHeld('release', key, ['deleting'])
    const cooling = coolingRow(row, { releasedMs: nowMs, coolingUntilMs: nowMs + cooldownMs })
    return this.#write(this.#update, cooling, row.state, 'synced')
  }

  /** Takes an intent back: the address never was on the wire, so it needs no cooldown and keeps its place in the order of releases. */
  forget(key: AttachmentKey): void {
    const row = this.#requireHeld('forget', key, ['adding'])
    if (row.previous === null) this.#delete(row, 'buffered')
    else this.#write(this.#update, coolingRow(row, row.previous), row.state, 'buffered')
  }

  /** The address's row while the attachment holds it; a released attachment is not found. */
  find(key: AttachmentKey): HeldRow | undefined {
    return this.#heldByKey.get(formatAttachmentKey(key))
  }

  /** Every row, held and released, as they are now. */
  all(): readonly AddressRow[] {
    return [...this.#rows.values()]
  }

  /**
   * The rows by address, for the allocator. The rows never change, the map follows the journal: use it at once, keep nothing of it.
   * If the clock was set back, the cooldowns of releases that now lie in the future start again at `nowMs`, for good.
   */
  view(nowMs: number): ReadonlyMap<Ipv4, AddressRow> {
    if (this.#latestReleaseMs > nowMs) this.#anchorCooldowns(nowMs)
    return this.#rows
  }

  /** Drops the history of addresses that have left the node, once they have cooled down. Returns how many. */
  prune(nodeAddresses: ReadonlySet<Ipv4>, nowMs: number): number {
    const gone = [...this.view(nowMs).values()].filter(
      (row) => row.state === 'cooling' && row.coolingUntilMs <= nowMs && !nodeAddresses.has(row.address),
    )
    for (const row of gone) this.#delete(row, 'buffered')
    return gone.length
  }

  [Symbol.dispose](): void {
    using undo = new Undo()
    undo.add(() => this.#lock[Symbol.dispose]())
    undo.add(() => this.#db.close())
  }

  #anchorCooldowns(nowMs: number): void {
    const early = this.all().filter((row): row is CoolingRow => row.state === 'cooling' && row.releasedMs > nowMs)
    for (const row of early) {
      this.#write(this.#update, { ...row, ...anchorCooldown(row, nowMs) }, 'cooling', 'buffered')
    }
    this.#latestReleaseMs = nowMs
    this.#logger.warn('journal.clockWentBack', { nowMs, addresses: early.map((row) => row.address) })
  }

  #requireHeld(transition: string, key: AttachmentKey, from: readonly HeldState[]): HeldRow {
    const row = this.find(key)
    if (row !== undefined && from.includes(row.state)) return row
    throw new Error(`${transition}: ${formatAttachmentKey(key)} is ${row?.state ?? 'not held'}, not ${from.join(' or ')}`)
  }

  /** Memory follows only what the disk has taken. */
  #write<R extends AddressRow>(statement: StatementSync, row: R, from: AddressRow['state'], durability: Durability): R {
    const columns = encodeRow(row)
    this.#run(statement, statement === this.#insert ? columns : { ...columns, from }, row.address, durability)
    this.#drop(row.address)
    this.#remember(row)
    return row
  }

  #delete(row: AddressRow, durability: Durability): void {
    this.#run(this.#remove, { address: row.address, from: row.state }, row.address, durability)
    this.#drop(row.address)
  }

  /** In WAL mode `full` syncs the log at every commit, `normal` only around checkpoints (https://sqlite.org/pragma.html#pragma_synchronous). */
  #run(statement: StatementSync, parameters: Record<string, SQLInputValue>, address: Ipv4, durability: Durability): void {
    if (durability === 'buffered') this.#db.exec('pragma synchronous = normal')
    try {
      const { changes } = statement.run(parameters)
      if (changes !== 1) throw new Error(`the journal's row of ${address} was changed by another program`)
    } finally {
      if (durability === 'buffered') this.#db.exec('pragma synchronous = full')
    }
  }

  #remember(row: AddressRow): void {
    this.#rows.set(row.address, row)
    if (row.state === 'cooling') {
      this.#latestReleaseMs = Math.max(this.#latestReleaseMs, row.releasedMs)
    } else {
      this.#heldByKey.set(formatAttachmentKey(row.key), row)
      this.#heldByHostIfname.set(row.hostIfname, row)
    }
  }

  #drop(address: Ipv4): void {
    const row = this.#rows.get(address)
    this.#rows.delete(address)
    if (row === undefined || row.state === 'cooling') return
    this.#heldByKey.delete(formatAttachmentKey(row.key))
    this.#heldByHostIfname.delete(row.hostIfname)
  }
}
