/** Keys to look at once the current request is over; each is in the queue at most once. */
export class DeferredQueue<T> {
  readonly #pending = new Map<string, T>()
  readonly #process: (item: T) => void
  #scheduled: NodeJS.Immediate | undefined

  constructor(process: (item: T) => void) {
    this.#process = process
  }

  add(id: string, item: T): void {
    this.#pending.set(id, item)
    this.#scheduled ??= setImmediate(() => this.#drain())
  }

  [Symbol.dispose](): void {
    clearImmediate(this.#scheduled)
    this.#pending.clear()
  }

  #drain(): void {
    this.#scheduled = undefined
    const items = [...this.#pending.values()]
    this.#pending.clear()
    for (const item of items) this.#process(item)
  }
}
