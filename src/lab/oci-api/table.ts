/** Records by id, in order of creation, each with a version that its etag shows. */
export class Table<Id extends string, T extends { readonly id: Id }> {
  readonly #records = new Map<Id, T>()
  readonly #versions = new Map<Id, number>()

  get(id: string): T | undefined {
    return this.#records.get(id as Id)
  }

  /** The record of an id that another record holds. */
  require(id: Id): T {
    const record = this.get(id)
    if (record === undefined) throw new Error(`no record of ${id}`)
    return record
  }

  put(record: T): T {
    this.#records.set(record.id, record)
    this.#versions.set(record.id, (this.#versions.get(record.id) ?? 0) + 1)
    return record
  }

  /** Changes what is there; nothing is left alone. */
  update(id: Id, change: Partial<T>): void {
    const record = this.get(id)
    if (record !== undefined) this.put({ ...record, ...change })
  }

  remove(id: Id): void {
    this.#records.delete(id)
  }

  all(): readonly T[] {
    return [...this.#records.values()]
  }

  filter(matches: (record: T) => boolean): readonly T[] {
    return this.all().filter(matches)
  }

  etag(id: string): string {
    return `${id.slice(-8)}--${this.#versions.get(id as Id) ?? 0}`
  }
}
