import { err, ok, type Result } from '../base/result.ts'
import type { Fd } from '../linux/fd.ts'
import { type Batch, BatchWriter, restampBatch, type TableAddress } from '../linux/netlink/nftables/batch.ts'
import type { RawCount, RuleObject } from '../linux/netlink/nftables/objects.ts'
import type { BatchRefusal } from '../linux/netlink/nftables/refusal.ts'
import { NftablesSocket } from '../linux/netlink/nftables/socket.ts'
import { withNetns } from '../linux/netns.ts'
import type { Change, ElementChange } from './change.ts'
import { parsePacked } from './datatype.ts'
import { buildTable } from './diff.ts'
import type { Element } from './elements.ts'
import type { Libnftables, NftContext } from './libnftables.ts'
import type { Table } from './model.ts'
import { errorOfBatch, errorOfCommands, type NftError } from './nft-error.ts'
import type { EditedNames, Observation } from './observation.ts'
import { addressOf, writeElementChanges } from './raw-elements.ts'
import { renderChanges, type TableName } from './render.ts'
import { ShardedMap, ShardedMapEditor } from './sharded-map.ts'
import { inSlices } from './slices.ts'

/** Somebody else's transaction may come in between again and again; each attempt takes milliseconds. */
const staleAttempts = 100
const interruptedAttempts = 10
const passingChain = 'passing'

/**
 * One table in the kernel. Structure goes through libnftables, which knows how to compile rules; elements alone go
 * through raw netlink, which is five to twenty times faster. A change of both is one text: a transaction cannot be
 * shared between the two sockets.
 */
export class KernelTable implements Disposable {
  readonly #name: TableName
  readonly #address: TableAddress
  readonly #context: NftContext
  readonly #socket: NftablesSocket

  constructor(library: Libnftables, name: TableName, netns: Fd | undefined) {
    this.#name = name
    this.#address = addressOf(name)
    const open = (): [NftContext, NftablesSocket] => [library.openContext(), new NftablesSocket()]
    ;[this.#context, this.#socket] = netns === undefined ? open() : withNetns(netns, open)
  }

  generation(): number {
    return this.#socket.generation()
  }

  observe(): Observation | undefined {
    const table = this.#socket.table(this.#address)
    if (table === undefined) return undefined
    const sets = this.#socket.sets(this.#address).map((set) => [set.name, set] as const)
    return { table, rules: handlesByChain(this.#socket.rules(this.#address)), sets: ShardedMap.of(sets) }
  }

  /** After an edit of ours to `model`, and of nobody else: looks only at what it made anew or changed. */
  observeEdit(before: Observation, edited: EditedNames, model: Table): Observation | undefined {
    const table = this.#socket.table(this.#address)
    if (table === undefined) return undefined
    const rules = new ShardedMapEditor(before.rules)
    for (const chain of edited.chains) {
      const rulesNow = model.chains.has(chain) ? this.#socket.rules(this.#address, chain) : []
      const handles = rulesNow.map(({ handle }) => handle)
      if (handles.length === 0) rules.delete(chain)
      else rules.set(chain, handles)
    }
    const sets = new ShardedMapEditor(before.sets)
    for (const name of edited.sets) {
      const set = model.sets.has(name) ? this.#socket.set(this.#address, name) : undefined
      if (set === undefined) sets.delete(name)
      else sets.set(name, set)
    }
    return { table, rules: rules.edition(), sets: sets.edition() }
  }

  /** Makes the table what the model says, whatever is there under its name. */
  async load(table: Table): Promise<Result<void, NftError>> {
    return this.#socket.table(this.#address) === undefined ? this.#loadNew(table) : this.#rebuild(table)
  }

  /**
   * `load` in one transaction: for tables of a few rules the faster way. Where nothing is there nothing is deleted, for the
   * next transaction would wait until the kernel has freed it (synchronize_rcu, 15 ms).
   */
  async loadAtOnce(table: Table): Promise<Result<void, NftError>> {
    if (this.#socket.table(this.#address) !== undefined) return this.#rebuild(table)
    const { structure, elements } = buildTable(table)
    return this.#run(table, `create table ${this.#title()}\n`, [...structure, ...elements])
  }

  async edit(table: Table, changes: readonly Change[]): Promise<Result<void, NftError>> {
    return this.#run(table, '', changes)
  }

  async encode(changes: readonly ElementChange[]): Promise<Batch> {
    return this.#encode(changes, () => undefined)
  }

  /** Fails as `stale` when the ruleset is not of this generation any more; then nothing was changed. */
  async transact(batch: Batch, generation: number): Promise<Result<void, BatchRefusal>> {
    restampBatch(batch, generation)
    return this.#socket.transact(batch)
  }

  /** Deletes learned elements; how many. They may expire while they are looked at: then it looks again. */
  async forget(table: Table, set: string, matches: LearnedMatch): Promise<Result<number, NftError>> {
    let refusal: BatchRefusal | undefined
    for (let attempt = 0; attempt < staleAttempts; attempt++) {
      const elements = await this.#socket.setElements(this.#address, set)
      const found = elements.filter(([key, data]) => matches(key, data))
      if (found.length === 0) return ok(0)
      const batch = new BatchWriter(this.generation())
      for (const [key] of found) batch.element('delete', this.#address, set, { key })
      const result = await this.#socket.transact(batch.done())
      if (result.ok) return ok(found.length)
      refusal = result.error
      if (refusal.kind !== 'stale' && refusal.code !== 'ENOENT') break
    }
    return refusal === undefined ? ok(0) : err(errorOfBatch(table, refusal))
  }

  /** Empties sets of the table. */
  encodeFlush(sets: readonly string[]): Batch {
    const writer = new BatchWriter(0)
    for (const set of sets) writer.flush(this.#address, set)
    // So that the next generation is ours for sure: whoever else came in between made the one after it.
    writer.passingChain(this.#address, passingChain)
    return writer.done()
  }

  async counts(set: string): Promise<readonly RawCount[]> {
    return this.#socket.setCounts(this.#address, set)
  }

  /** Nothing to remove is fine. */
  async remove(): Promise<Result<void, BatchRefusal>> {
    if (this.#socket.table(this.#address) === undefined) return ok(undefined)
    const batch = new BatchWriter(0)
    batch.deleteTable(this.#address)
    const result = await this.#transactAnyGeneration(batch.done())
    return !result.ok && result.error.code === 'ENOENT' ? ok(undefined) : result
  }

  [Symbol.dispose](): void {
    this.#context[Symbol.dispose]()
    this.#socket[Symbol.dispose]()
  }

  /**
   * Where there was nothing, two transactions look like one: the structure is made asleep (no packet comes to it), and
   * the batch that brings the elements wakes it. Three to five times as fast as one text with everything.
   */
  async #loadNew(table: Table): Promise<Result<void, NftError>> {
    const { structure, elements } = buildTable(table)
    const made = await this.#run(table, `create table ${this.#title()} { flags dormant; }\n`, structure)
    if (!made.ok) return made
    const batch = await this.#encode(elements, (writer) => writer.wake(this.#address))
    const filled = await this.#transactAnyGeneration(batch)
    if (filled.ok) return ok(undefined)
    await this.remove()
    return err(errorOfBatch(table, filled.error))
  }

  /**
   * In place of what is there, in one transaction: packets see the old table or the new one. What the kernel learned
   * goes over with it (a restart should not end anybody's session affinity), its time beginning again.
   */
  async #rebuild(table: Table): Promise<Result<void, NftError>> {
    const { structure, elements } = buildTable(table)
    const title = this.#title()
    // `add` first: whether it is still there or not, `delete` then finds it.
    const renewal = `add table ${title}\ndelete table ${title}\nadd table ${title}\n`
    return this.#run(table, renewal, [...structure, ...elements, ...(await this.#learned(table))])
  }

  async #learned(table: Table): Promise<readonly ElementChange[]> {
    const changes: ElementChange[] = []
    for (const [name, set] of table.sets) {
      const { key: keyTypes, data: dataTypes = [], learned } = set
      if (learned === undefined || learned.until === 'change' || dataTypes === 'verdict') continue
      const found = await this.#socket.setElements(this.#address, name)
      const elements = found.flatMap(([keyBytes, data]): Element[] => {
        // A set of another type may have had the name.
        const key = parsePacked(keyTypes, keyBytes)
        return key === undefined || parsePacked(dataTypes, data) === undefined ? [] : [[key, data]]
      })
      changes.push({ kind: 'elements.add', name, set, elements, count: elements.length })
    }
    return changes
  }

  async #run(table: Table, prologue: string, changes: readonly Change[]): Promise<Result<void, NftError>> {
    const commands = [prologue]
    await inSlices(renderChanges(this.#name, changes), (command) => void commands.push(command))
    const text = commands.join('')
    for (let attempt = 1; ; attempt++) {
      const result = await this.#context.run(text)
      if (result.ok) return result
      const error = errorOfCommands(table, result.error)
      // Somebody else's transaction interrupted its look at the ruleset, before it sent anything.
      if (error.code !== 'EINTR' || attempt === interruptedAttempts) return err(error)
    }
  }

  /** For no generation yet: encoding takes its time. */
  async #encode(changes: readonly ElementChange[], finish: (writer: BatchWriter) => void): Promise<Batch> {
    const writer = new BatchWriter(0)
    await inSlices(writeElementChanges(writer, this.#address, changes), () => undefined)
    finish(writer)
    return writer.done()
  }

  async #transactAnyGeneration(batch: Batch): Promise<Result<void, BatchRefusal>> {
    for (let attempt = 1; ; attempt++) {
      const result = await this.transact(batch, this.generation())
      if (result.ok || result.error.kind !== 'stale' || attempt === staleAttempts) return result
    }
  }

  #title(): string {
    return `${this.#name.family} ${this.#name.name}`
  }
}

/** Bytes of a learned element's key and value. */
export type LearnedMatch = (key: string, value: string) => boolean

function handlesByChain(rules: readonly RuleObject[]): Observation['rules'] {
  const byChain = new Map<string, bigint[]>()
  for (const { chain, handle } of rules) {
    const handles = byChain.get(chain)
    if (handles === undefined) byChain.set(chain, [handle])
    else handles.push(handle)
  }
  return ShardedMap.of(byChain)
}
