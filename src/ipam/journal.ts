import type { DatabaseSync, StatementResultingChanges } from 'node:sqlite'
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
import {
  type AddressRow,
  cooldownOf,
  coolingRow,
  type CoolingRow,
  encodeRow,
  type HeldRow,
  type HeldState,
  type Intent,
} from './journal-row.ts'
import { type JournalStatements, prepareStatements } from './journal-schema.ts'

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
  readonly #statements: JournalStatements
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
    this.#statements = prepareStatements(file.db)
    for (const row of file.rows) this.#remember(row)
  }

  /** Reserves the address before anything is done for it. Buffered: a power failure takes the kernel's objects away too. */
  intend(intent: Intent): Result<HeldRow, IntendError> {
    const sameKey = this.find(intent.key)
    if (sameKey !== undefined) return err({ kind: 'duplicate-key', holder: sameKey })
    const sameName = this.findByHostIfname(intent.hostIfname)
    if (sameName !== undefined) return err({ kind: 'host-ifname-taken', holder: sameName })
    const before = this.#rows.get(intent.address)
    if (before !== undefined && before.state !== 'cooling') {
      throw new Error(`intend: ${intent.address} is held by ${formatAttachmentKey(before.key)} (${before.state})`)
    }
    if (before !== undefined && intent.createdMs < before.coolingUntilMs) {
      throw new Error(
        `intend: ${intent.address} cools down until ${before.coolingUntilMs}, and it is ${intent.createdMs}`,
      )
    }
    const previous = before === undefined ? null : cooldownOf(before)
    const row: HeldRow = { ...intent, state: 'adding', ifindex: null, bootId: this.#bootId, previous }
    this.#write(before?.state ?? 'absent', row, 'buffered')
    return ok(row)
  }

  /** The pod's network stands. Synced: from here on somebody has been told that the address is his. */
  commit(key: AttachmentKey, { ifindex }: { readonly ifindex: number }): HeldRow {
    const row = this.#requireHeld('commit', key, ['adding'])
    return this.#write(row.state, { ...row, state: 'attached', ifindex }, 'synced')
  }

  /** The kernel's objects are about to be taken away. Repeating it is fine: a DEL is repeated until it succeeds. */
  beginRelease(key: AttachmentKey): HeldRow {
    const row = this.#requireHeld('beginRelease', key, ['adding', 'attached', 'deleting'])
    if (row.state === 'deleting') return row
    return this.#write(row.state, { ...row, state: 'deleting' }, 'buffered')
  }

  /** The kernel's objects are gone. Synced: the cooldown protects the next holder, also after a power failure. */
  release(
    key: AttachmentKey,
    { nowMs, cooldownMs }: { readonly nowMs: number; readonly cooldownMs: number },
  ): CoolingRow {
    const row = this.#requireHeld('release', key, ['deleting'])
    const cooling = coolingRow(row, { releasedMs: nowMs, coolingUntilMs: nowMs + cooldownMs })
    return this.#write(row.state, cooling, 'synced')
  }

  /** Takes an intent back: the address never was on the wire, so it needs no cooldown and keeps its place in the order of releases. */
  forget(key: AttachmentKey): void {
    const row = this.#requireHeld('forget', key, ['adding'])
    if (row.previous === null) this.#delete(row, 'buffered')
    else this.#write(row.state, coolingRow(row, row.previous), 'buffered')
  }

  /** The address's row while the attachment holds it; a released attachment is not found. */
  find(key: AttachmentKey): HeldRow | undefined {
    return this.#heldByKey.get(formatAttachmentKey(key))
  }

  /** Whose interface on the node has the name, while the attachment holds an address. */
  findByHostIfname(hostIfname: string): HeldRow | undefined {
    return this.#heldByHostIfname.get(hostIfname)
  }

  /** The rows of all attachments that hold an address, as they are now. */
  held(): readonly HeldRow[] {
    return [...this.#heldByKey.values()]
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
      this.#write(row.state, { ...row, ...anchorCooldown(row, nowMs) }, 'buffered')
    }
    this.#latestReleaseMs = nowMs
    this.#logger.warn('journal.clockWentBack', { nowMs, addresses: early.map((row) => row.address) })
  }

  #requireHeld(transition: string, key: AttachmentKey, from: readonly HeldState[]): HeldRow {
    const row = this.find(key)
    if (row !== undefined && from.includes(row.state)) return row
    throw new Error(
      `${transition}: ${formatAttachmentKey(key)} is ${row?.state ?? 'not held'}, not ${from.join(' or ')}`,
    )
  }

  #write<R extends AddressRow>(from: AddressRow['state'] | 'absent', row: R, durability: Durability): R {
    const { insert, update } = this.#statements
    const columns = encodeRow(row)
    this.#run(durability, row.address, () =>
      from === 'absent' ? insert.run(columns) : update.run({ ...columns, from }),
    )
    // Memory follows only what the disk has taken.
    this.#drop(row.address)
    this.#remember(row)
    return row
  }

  #delete({ address, state }: AddressRow, durability: Durability): void {
    this.#run(durability, address, () => this.#statements.remove.run({ address, from: state }))
    this.#drop(address)
  }

  #run(durability: Durability, address: Ipv4, write: () => StatementResultingChanges): void {
    // In WAL mode `full` syncs the log at each commit, `normal` only at checkpoints (https://sqlite.org/pragma.html#pragma_synchronous).
    if (durability === 'buffered') this.#db.exec('pragma synchronous = normal')
    try {
      if (write().changes !== 1) throw new Error(`the journal's row of ${address} was changed by another program`)
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
