/** One line of a sidecar's log: a connection that has ended, or was refused. */
export interface ConnectionRecord {
  readonly at: string
  readonly direction: 'inbound' | 'outbound'
  /** `address:port`, as the kernel told them. */
  readonly source: string
  readonly originalDestination: string
  readonly upstream?: string
  /** Who is at the other end of the encrypted part; absent: it was plain. */
  readonly peer?: string
  /** From the one who connected, and back to it. */
  readonly bytesIn: number
  readonly bytesOut: number
  readonly elapsedMs: number
  readonly outcome: string
}

export function endpoint(address: string | undefined, port: number | undefined): string {
  const host = address?.includes(':') === true ? `[${address}]` : (address ?? '?')
  return `${host}:${port ?? '?'}`
}

export function writeRecord(record: ConnectionRecord): void {
  process.stdout.write(`${JSON.stringify(record)}\n`)
}
