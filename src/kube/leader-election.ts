import type { Logger } from '../base/logger.ts'
import type { ApiClient } from './api-client.ts'
import { LeaseHolder, type LeaseHolderOptions } from './lease-holder.ts'
import { type Random, type Scheduler, sleep } from './scheduler.ts'

export interface LeaderElectionOptions extends LeaseHolderOptions {
  readonly client: Pick<ApiClient, 'get' | 'create' | 'patch'>
  readonly scheduler: Scheduler
  readonly random: Random
  readonly logger: Logger
  /** How long a leader tries to renew before it gives up. Shorter than the lease, so that it stops before another begins. */
  readonly renewDeadlineMs?: number
  /** Between attempts; candidates add up to a fifth, so that they do not come all at once. */
  readonly retryPeriodMs?: number
}

export type ElectionEnd =
  /** `signal` aborted. */
  | 'stopped'
  /** The lease could not be renewed, or somebody else has it. */
  | 'lost'
  /** `lead` came to its end by itself. */
  | 'finished'

/**
 * Waits for the lease, then runs `lead` while holding it. The signal given to `lead` aborts at once when the lease is lost or
 * `signal` aborts; until `lead` has settled the lease goes on being renewed if it can be, and then it is released.
 * Rejects only with what `lead` threw.
 */
export async function leadWhenElected(
  options: LeaderElectionOptions,
  lead: (signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<ElectionEnd> {
  const holder = new LeaseHolder(options)
  const { logger, identity } = options
  try {
    const heldSinceMs = await acquire(options, holder, signal)
    logger.info('leader.elected', { identity })
    return await holdWhile(options, holder, heldSinceMs, lead, signal)
  } catch (error) {
    if (signal.aborted && error === signal.reason) return 'stopped'
    throw error
  }
}

async function acquire(options: LeaderElectionOptions, holder: LeaseHolder, signal: AbortSignal): Promise<number> {
  const { scheduler, random, retryPeriodMs = 2_000 } = options
  for (;;) {
    const startedMs = scheduler.monotonicMs()
    if ((await holder.tryHold(signal)) === 'held') return startedMs
    await sleep(scheduler, retryPeriodMs * (1 + random() / 5), signal)
  }
}

async function holdWhile(
  options: LeaderElectionOptions,
  holder: LeaseHolder,
  heldSinceMs: number,
  lead: (signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<ElectionEnd> {
  const leading = new AbortController()
  const onStop = (): void => leading.abort(signal.reason)
  signal.addEventListener('abort', onStop, { once: true })
  if (signal.aborted) onStop()
  const working = new AbortController()
  const work = lead(leading.signal).finally(() => working.abort(new Error('the work is over')))
  // Its outcome is looked at below, after the lease has been dealt with.
  work.catch(() => undefined)
  try {
    const isLost = await renewUntil(options, holder, heldSinceMs, () => leading.abort(lostReason()), working.signal)
    // Not lost: the work is over, whatever came of it.
    if (!isLost) await holder.release()
    else options.logger.warn('leader.lost', { identity: options.identity })
    await outcomeOf(work, leading.signal)
    return isLost ? 'lost' : signal.aborted ? 'stopped' : 'finished'
  } finally {
    signal.removeEventListener('abort', onStop)
  }
}

/** Whether the lease was lost; calls `onLost` the moment it is. Ends when `working` aborts. */
async function renewUntil(
  options: LeaderElectionOptions,
  holder: LeaseHolder,
  heldSinceMs: number,
  onLost: () => void,
  working: AbortSignal,
): Promise<boolean> {
  const { scheduler, renewDeadlineMs = 10_000, retryPeriodMs = 2_000 } = options
  let isLost = false
  const ended = new AbortController()
  const lose = (): void => {
    isLost = true
    onLost()
    ended.abort(lostReason())
  }
  // An alarm, not a check between requests: a request that hangs must not keep a leader in office.
  const alarm = (sinceMs: number): (() => void) =>
    scheduler.after(sinceMs + renewDeadlineMs - scheduler.monotonicMs(), lose)
  let cancelAlarm = alarm(heldSinceMs)
  const until = AbortSignal.any([working, ended.signal])
  try {
    for (;;) {
      await sleep(scheduler, retryPeriodMs, until)
      // Counted from before the request: that is the time that others may have seen at the earliest.
      const startedMs = scheduler.monotonicMs()
      const outcome = await holder.tryHold(until)
      if (until.aborted) break
      if (outcome === 'heldByOther') lose()
      if (outcome !== 'held') continue
      cancelAlarm()
      cancelAlarm = alarm(startedMs)
    }
  } catch (error) {
    if (!until.aborted) throw error
  } finally {
    cancelAlarm()
  }
  return isLost
}

// What `lead` throws because it was told to stop is not an error.
async function outcomeOf(work: Promise<void>, leading: AbortSignal): Promise<void> {
  try {
    await work
  } catch (error) {
    if (!leading.aborted) throw error
  }
}

function lostReason(): Error {
  return new Error('the leader lease was lost')
}
