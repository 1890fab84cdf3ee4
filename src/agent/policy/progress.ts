/** A bell: whoever waits hears the next time it rings, and those who come later hear the one after. */
export class Progress {
  #next = Promise.withResolvers<undefined>()

  made(): void {
    this.#next.resolve(undefined)
    this.#next = Promise.withResolvers()
  }

  /** Also resolves when `signal` aborts. */
  async next(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return
    const either = Promise.withResolvers<undefined>()
    const ring = (): void => either.resolve(undefined)
    signal.addEventListener('abort', ring, { once: true })
    void this.#next.promise.then(ring)
    await either.promise
    signal.removeEventListener('abort', ring)
  }
}
