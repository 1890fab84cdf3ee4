import type { OciError, OciErrorKind, Operation } from './oci-error.ts'

export interface RetrySettings {
  /** Time for all attempts of a call and the pauses between them; waiting for the limiter's turn is not counted. */
  readonly budgetMs: number
  /** The first pause is up to this long, each one after up to twice as long as the one before. */
  readonly firstPauseMs: number
  readonly longestPauseMs: number
}

export const defaultRetry: RetrySettings = { budgetMs: 60_000, firstPauseMs: 500, longestPauseMs: 15_000 }

type Kind = OciErrorKind['kind']

/** Whether a repeat can help, and when it can, whether the failed attempt may have taken effect. */
export type RetryAdvice = 'give-up' | 'repeat' | 'repeat-maybe-done'

const adviceByKind: Readonly<Record<Kind, RetryAdvice>> = {
  throttled: 'repeat',
  incorrectState: 'repeat',
  // The effect may be there all the same: reads repeat freely, creates carry a retry token, deletes find nothing
  // left to delete, updates set what is set already.
  server: 'repeat-maybe-done',
  unreachable: 'repeat-maybe-done',
  malformed: 'repeat-maybe-done',
  notFound: 'give-up',
  notAuthorized: 'give-up',
  notAuthenticated: 'give-up',
  clockSkew: 'give-up',
  // Not transient by Oracle's own classification: the caller has to look at the resource again.
  conflict: 'give-up',
  retryTokenUsed: 'give-up',
  etagMismatch: 'give-up',
  limitExceeded: 'give-up',
  quotaExceeded: 'give-up',
  invalid: 'give-up',
  deadline: 'give-up',
}

// An instance that is not RUNNING stays so for minutes, and a subnet that is being updated refuses the calls of all
// nodes alike. The caller knows how to wait for that without spending the quota.
const incorrectStateIsLong: ReadonlySet<Operation> = new Set<Operation>([
  'AttachVnic',
  'DetachVnic',
  'CreatePrivateIp',
  'DeletePrivateIp',
])

export function retryAdvice(operation: Operation, error: OciError): RetryAdvice {
  if (error.kind === 'incorrectState' && incorrectStateIsLong.has(operation)) return 'give-up'
  return adviceByKind[error.kind]
}

/**
 * How long to wait after the `attempt`-th attempt (from 1) failed. Full jitter ("Exponential Backoff And Jitter",
 * AWS Architecture Blog): callers that failed together do not come back together.
 */
export function pauseMs(error: OciError, attempt: number, settings: RetrySettings, random: () => number): number {
  const longest = Math.min(settings.longestPauseMs, settings.firstPauseMs * 2 ** (attempt - 1))
  const asked = error.kind === 'throttled' ? (error.retryAfterMs ?? 0) : 0
  return asked + longest * random()
}

/**
 * Whether this failure of a repeat means that the attempt before it had succeeded: what it deleted is gone.
 * Without an attempt whose outcome is unknown, notFound is a failure like any other.
 */
export function isDoneBefore(operation: Operation, error: OciError, mayBeDone: boolean): boolean {
  return mayBeDone && error.kind === 'notFound' && (operation === 'DeletePrivateIp' || operation === 'DetachVnic')
}
