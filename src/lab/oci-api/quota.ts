/** Calls of one operation that the cloud lets through. */
export interface Quota {
  readonly perSecond: number
  readonly burst: number
}

/** Counts each operation against its own bucket; an operation without a quota is not limited. */
export class QuotaKeeper {
  readonly #quotaOf: (operation: string) => Quota | undefined
  readonly #buckets = new Map<string, { tokens: number; atMs: number }>()

  constructor(quotaOf: (operation: string) => Quota | undefined) {
    this.#quotaOf = quotaOf
  }

  admits(operation: string, nowMs: number): boolean {
    const quota = this.#quotaOf(operation)
    if (quota === undefined) return true
    const bucket = this.#buckets.get(operation) ?? { tokens: quota.burst, atMs: nowMs }
    const gained = (Math.max(0, nowMs - bucket.atMs) / 1000) * quota.perSecond
    const tokens = Math.min(quota.burst, bucket.tokens + gained)
    const isAdmitted = tokens >= 1
    this.#buckets.set(operation, { tokens: isAdmitted ? tokens - 1 : tokens, atMs: nowMs })
    return isAdmitted
  }
}
