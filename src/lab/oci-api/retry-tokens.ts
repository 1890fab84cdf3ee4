import { createHash } from 'node:crypto'
import { ok, type Result } from '../../base/result.ts'
import { type ApiError, refuse } from './api-error.ts'

interface Use {
  readonly body: string
  readonly atMs: number
  readonly made: Promise<Result<string, ApiError>>
}

const lifetimeMs = 24 * 3_600_000

/** Remembers what a create with a retry token has made, for a day. A create that failed leaves the token unused. */
export class RetryTokens {
  readonly #uses = new Map<string, Use>()

  /** Answers the id of what `make` makes, or has made before for the same token. */
  async once(
    key: { readonly operation: string; readonly token: string; readonly body: Buffer },
    nowMs: number,
    make: () => Promise<Result<string, ApiError>>,
  ): Promise<Result<string, ApiError>> {
    const name = `${key.operation} ${key.token}`
    const body = createHash('sha256').update(key.body).digest('hex')
    const earlier = this.#uses.get(name)
    if (earlier !== undefined && nowMs - earlier.atMs < lifetimeMs) {
      if (earlier.body === body) return earlier.made
      return refuse('InvalidatedRetryToken', `retry token ${key.token} was used for a different request`)
    }
    const made = make()
    this.#uses.set(name, { body, atMs: nowMs, made })
    const result = await made
    if (!result.ok) this.#uses.delete(name)
    return result.ok ? ok(result.value) : result
  }
}
