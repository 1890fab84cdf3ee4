import type { ApiError } from './api-error.ts'
import type { MalformedObject } from './object.ts'

/** How current a reflector's cache is; for readiness, metrics and status pages. */
export interface ReflectorHealth {
  /** The cache has held the whole list once. It goes on being served, whatever happens to the connection. */
  readonly synced: boolean
  /** A watch is open now. */
  readonly watching: boolean
  /** Wall clock of the last sign of life: a list, an event or a bookmark. */
  readonly lastEventMs?: number
  readonly lastError?: { readonly error: ApiError; readonly atMs: number }
  /** Since the last sign of life. */
  readonly failures: number
  /** Wall clock of the first failure since a list, an event or a watch that lasted. */
  readonly failingSinceMs?: number
  readonly lists: number
  readonly watches: number
  readonly resourceVersion?: string
  /** Objects that do not parse. The cache keeps the last version of them that did, if there was one. */
  readonly malformed: readonly MalformedObject[]
}
