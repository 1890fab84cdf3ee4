import type { OciErrorKind } from './oci-error.ts'

/** The parts of an error answer that decide what kind it is. */
export interface ErrorAnswer {
  readonly status: number
  readonly code: string
  readonly message: string
  /** `Date` header: the server's clock. */
  readonly serverTimeMs?: number
  /** `Retry-After` header, seconds or a date (RFC 9110 section 10.2.3). */
  readonly retryAfter?: string
}

/** Signatures older or newer than this are refused (Oracle's "Request Signatures", clock skew). */
const maximalSkewMs = 5 * 60_000

const byCode: Readonly<Record<string, OciErrorKind>> = {
  NotAuthorizedOrNotFound: { kind: 'notFound' },
  // 400 about something the body names, where 404 is about the path and the query (Oracle's "API Errors").
  RelatedResourceNotAuthorizedOrNotFound: { kind: 'notFound' },
  LimitExceeded: { kind: 'limitExceeded' },
  QuotaExceeded: { kind: 'quotaExceeded' },
  IncorrectState: { kind: 'incorrectState' },
  InvalidatedRetryToken: { kind: 'retryTokenUsed' },
  NoEtagMatch: { kind: 'etagMismatch' },
}

/** By the code where Oracle documents one, otherwise by the status: gateways on the way answer without a code. */
export function errorKind(answer: ErrorAnswer, nowMs: number): OciErrorKind {
  const { status, code, message } = answer
  if (status === 429) {
    const retryAfterMs = parseRetryAfterMs(answer.retryAfter, nowMs)
    return { kind: 'throttled', ...(retryAfterMs !== undefined && { retryAfterMs }) }
  }
  if (status === 401) return { kind: isSkewed(answer, nowMs) ? 'clockSkew' : 'notAuthenticated' }
  const known = byCode[code]
  if (known !== undefined) return known
  if (status === 403) return { kind: 'notAuthorized' }
  if (status === 404) return { kind: 'notFound' }
  if (status === 409) return { kind: 'conflict' }
  if (status === 412) return { kind: 'etagMismatch' }
  return status >= 500 ? { kind: 'server' } : { kind: 'invalid', parameter: message }
}

// Not by the message: its wording is undocumented. 401 has many causes; the two clocks tell this one.
function isSkewed({ serverTimeMs }: ErrorAnswer, nowMs: number): boolean {
  return serverTimeMs !== undefined && Math.abs(serverTimeMs - nowMs) >= maximalSkewMs
}

function parseRetryAfterMs(text: string | undefined, nowMs: number): number | undefined {
  if (text === undefined) return undefined
  if (/^\d+$/.test(text)) return Number(text) * 1000
  const at = Date.parse(text)
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs)
}
