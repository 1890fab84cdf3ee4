/** Work that must not overlap, in the order in which it was asked for. */
export class TurnQueue {
  #last: Promise<unknown> = Promise.resolve()
  #waiting = 0
  #closedBy: Error | undefined

  get isBusy(): boolean {
    return this.#waiting > 0
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    this.#waiting++
    const turn = this.#last.then(() => {
      if (this.#closedBy !== undefined) throw this.#closedBy
      return work()
    })
    this.#last = turn.catch(() => undefined)
    try {
      return await turn
    } finally {
      this.#waiting--
    }
  }

  /** What has begun is waited for; what has not is rejected with `reason`. */
  async close(reason: Error): Promise<void> {
    this.#closedBy = reason
    await this.#last
  }
}
