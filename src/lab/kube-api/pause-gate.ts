/** Holds back whatever asks to pass while it is closed. */
export class PauseGate {
  #opened: PromiseWithResolvers<undefined> | undefined
  #waiting: (() => void)[] = []

  get isPaused(): boolean {
    return this.#opened !== undefined
  }

  pause(): void {
    this.#opened ??= Promise.withResolvers()
  }

  resume(): void {
    const waiting = this.#waiting
    this.#waiting = []
    this.#opened?.resolve(undefined)
    this.#opened = undefined
    for (const proceed of waiting) proceed()
  }

  async passed(): Promise<void> {
    while (this.#opened !== undefined) await this.#opened.promise
  }

  /** Now when it is open, otherwise in order as soon as it opens. */
  whenOpen(proceed: () => void): void {
    if (this.#opened === undefined) proceed()
    else this.#waiting.push(proceed)
  }
}
