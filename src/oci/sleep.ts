/** Waits, or rejects with the signal's reason. A dependency wherever a test must not really wait. */
export type Sleep = (durationMs: number, signal: AbortSignal) => Promise<void>

export const systemSleep: Sleep = (durationMs, signal) =>
  new Promise((resolve, reject) => {
    signal.throwIfAborted()
    const stop = (): void => {
      clearTimeout(timer)
      reject(signal.reason as Error)
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop)
      resolve()
    }, durationMs)
    signal.addEventListener('abort', stop, { once: true })
  })
