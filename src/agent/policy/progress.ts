/** A bell: whoever waits hears the next time it rings, and those who come later hear the one after. */
export class Progress {
  readonly #waiting = new Set<() => void>()

  made(): void {
    for (const hear of [...this.#waiting]) hear()
  }

  /** Also resolves when `signal` aborts. */
  async next(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return
    const heard = Promise.withResolvers<undefined>()
    const hear = (): void => heard.resolve(undefined)
    this.#waiting.add(hear)
    signal.addEventListener('abort', hear, { once: true })
    await heard.promise
    this.#waiting.delete(hear)
    signal.removeEventListener('abort', hear)
  }
}
