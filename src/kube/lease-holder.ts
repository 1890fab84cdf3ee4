import type { Logger } from '../base/logger.ts'
import type { ApiClient } from './api-client.ts'
import { formatApiError } from './api-error.ts'
import type { Lease } from './lease.ts'
import type { JsonObject, ObjectRef } from './object.ts'
import { leases } from './resources.ts'
import type { Scheduler } from './scheduler.ts'

export interface LeaseHolderOptions {
  readonly client: Pick<ApiClient, 'get' | 'create' | 'patch'>
  readonly lease: ObjectRef & { readonly namespace: string }
  /** Unlike that of any other candidate, also of an earlier run of the same pod. */
  readonly identity: string
  /** How long others wait after the last renewal they saw. Whole seconds. */
  readonly leaseDurationMs?: number
  readonly scheduler: Scheduler
  readonly logger: Logger
}

export type HoldOutcome =
  | 'held'
  /** Somebody else has it, and has renewed it within its duration. */
  | 'heldByOther'
  /** The API server could not be asked, or somebody was faster: ask again. */
  | 'unknown'

const releaseTimeoutMs = 5_000

/** One candidate's view of a Lease (coordination.k8s.io/v1), with the rules of client-go's leaderelection. */
export class LeaseHolder {
  readonly #options: LeaseHolderOptions
  readonly #durationMs: number
  // When this process saw the lease change. The times in it are by another machine's clock and only compared for equality.
  #seen: { readonly lease: Lease; readonly record: string; readonly atMs: number } | undefined

  constructor(options: LeaseHolderOptions) {
    this.#options = options
    this.#durationMs = options.leaseDurationMs ?? 15_000
  }

  /** Takes the lease, or renews it. */
  async tryHold(signal: AbortSignal): Promise<HoldOutcome> {
    const { client, lease, identity } = this.#options
    // A leader knows the lease already, and a conflict will tell if not: one request instead of two.
    if (this.#seen?.lease.holderIdentity === identity) {
      const renewed = await this.#write(this.#seen.lease, signal)
      if (renewed === 'held') return renewed
    }
    const found = await client.get(leases, lease, signal)
    if (found.ok) {
      this.#see(found.value)
      return this.#isHeldByOther() ? 'heldByOther' : this.#write(found.value, signal)
    }
    if (found.error.kind === 'notFound') return this.#create(signal)
    this.#warn('leader.lease-unreadable', formatApiError(found.error))
    return 'unknown'
  }

  /** Lets the next candidate begin at once; when it fails, the lease runs out by itself. */
  async release(): Promise<void> {
    const { identity, client, lease } = this.#options
    if (this.#seen?.lease.holderIdentity !== identity) return
    const { resourceVersion } = this.#seen.lease.metadata
    // client-go writes one second, too: the API server refuses a duration of nothing.
    const spec = { ...this.#spec(this.#seen.lease), holderIdentity: '', leaseDurationSeconds: 1 }
    const body = { metadata: { resourceVersion }, spec }
    try {
      const signal = AbortSignal.timeout(releaseTimeoutMs)
      const released = await client.patch(leases, lease, { type: 'merge', body }, signal)
      if (!released.ok) this.#warn('leader.release-failed', formatApiError(released.error))
    } catch {
      this.#warn('leader.release-failed', `no answer within ${releaseTimeoutMs} ms`)
    }
    this.#seen = undefined
  }

  async #create(signal: AbortSignal): Promise<HoldOutcome> {
    const { client, lease } = this.#options
    const metadata = { namespace: lease.namespace, name: lease.name }
    const created = await client.create(leases, { metadata, spec: this.#spec(undefined) }, signal)
    if (!created.ok) {
      if (created.error.kind !== 'alreadyExists') this.#warn('leader.lease-unwritable', formatApiError(created.error))
      return 'unknown'
    }
    this.#see(created.value)
    return 'held'
  }

  async #write(known: Lease, signal: AbortSignal): Promise<HoldOutcome> {
    const { client, lease } = this.#options
    const body = { metadata: { resourceVersion: known.metadata.resourceVersion }, spec: this.#spec(known) }
    const written = await client.patch(leases, lease, { type: 'merge', body }, signal)
    if (!written.ok) {
      if (written.error.kind !== 'conflict') this.#warn('leader.lease-unwritable', formatApiError(written.error))
      return 'unknown'
    }
    this.#see(written.value)
    return 'held'
  }

  #spec(known: Lease | undefined): JsonObject {
    const { identity, scheduler } = this.#options
    // MicroTime: six digits after the point.
    const now = new Date(scheduler.nowMs()).toISOString().replace('Z', '000Z')
    const isMine = known?.holderIdentity === identity
    const transitions = known === undefined ? 0 : known.leaseTransitions + (isMine ? 0 : 1)
    return {
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(this.#durationMs / 1000),
      acquireTime: isMine ? (known.acquireTime ?? now) : now,
      renewTime: now,
      leaseTransitions: transitions,
    }
  }

  #see(lease: Lease): void {
    const { holderIdentity, leaseTransitions, acquireTime, renewTime } = lease
    // Not the resourceVersion: a label on the lease is no renewal.
    const record = JSON.stringify([holderIdentity, leaseTransitions, acquireTime, renewTime])
    const isSame = this.#seen?.record === record && this.#seen.lease.metadata.uid === lease.metadata.uid
    const atMs = isSame && this.#seen !== undefined ? this.#seen.atMs : this.#options.scheduler.monotonicMs()
    this.#seen = { lease, record, atMs }
  }

  #isHeldByOther(): boolean {
    if (this.#seen === undefined) return false
    const { lease, atMs } = this.#seen
    if (lease.holderIdentity === undefined || lease.holderIdentity === this.#options.identity) return false
    const durationMs = lease.leaseDurationSeconds === undefined ? this.#durationMs : lease.leaseDurationSeconds * 1000
    return this.#options.scheduler.monotonicMs() < atMs + durationMs
  }

  #warn(event: string, error: string): void {
    const { logger, identity, lease } = this.#options
    logger.warn(event, { identity, lease: `${lease.namespace}/${lease.name}`, error })
  }
}
