import type net from 'node:net'

export interface Relayed {
  /** From the first socket to the second, and back. */
  readonly bytesIn: number
  readonly bytesOut: number
  readonly outcome: string
}

/** Carries bytes both ways until both directions have ended; an end of one direction is handed on, an error ends both. */
export function relay(from: net.Socket, to: net.Socket): Promise<Relayed> {
  return new Promise((resolve) => {
    let [bytesIn, bytesOut] = [0, 0]
    let problem: string | undefined
    let open = 2
    const closed = (): void => {
      if (--open > 0) return
      resolve({ bytesIn, bytesOut, outcome: problem ?? 'closed' })
    }
    for (const [one, other] of [
      [from, to],
      [to, from],
    ] as const) {
      one.on('error', (error) => {
        problem ??= error.message
        other.destroy()
      })
      one.on('close', () => {
        // Whoever is gone without an end will not read either.
        if (!one.readableEnded) other.destroy()
        closed()
      })
    }
    from.on('data', (chunk: Buffer) => (bytesIn += chunk.length))
    to.on('data', (chunk: Buffer) => (bytesOut += chunk.length))
    from.pipe(to)
    to.pipe(from)
  })
}
