/**
 * Lets at most `limit` pieces of work run at once, and those of one key one after the other, in the order they came.
 * A crossing DEL therefore waits for its ADD.
 */
export class RequestGate {
  readonly #limit: number
  readonly #last = new Map<string, Promise<void>>()
  readonly #waiting: (() => void)[] = []
  #running = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  get busy(): number {
    return this.#running + this.#waiting.length
  }

  /**
   * `before` has its turn among those of the key, but no place: what may wait for long is not in the way of other keys. What it
   * resolves with, unless undefined, is the answer in place of the work.
   */
  async run<T>(key: string, work: () => Promise<T>, before?: () => Promise<T | undefined>): Promise<T> {
    const last = this.#last.get(key)
    const done = Promise.withResolvers<undefined>()
    const mine = last === undefined ? done.promise : last.then(() => done.promise)
    this.#last.set(key, mine)
    try {
      if (last !== undefined) await last
      const answer = await before?.()
      if (answer !== undefined) return answer
      await this.#enter()
      try {
        return await work()
      } finally {
        this.#leave()
      }
    } finally {
      done.resolve(undefined)
      if (this.#last.get(key) === mine) this.#last.delete(key)
    }
  }

  async #enter(): Promise<void> {
    if (this.#running >= this.#limit) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    else this.#running++
  }

  // A waiting one takes the place over: the count stays.
  #leave(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#running--
    else next()
  }
}
