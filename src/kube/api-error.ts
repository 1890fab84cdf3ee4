import type { FieldError } from '../base/schema.ts'

/** What the API server, or the way to it, answered instead of a result. */
export type ApiError = ApiErrorDetails & ApiErrorKind

export interface ApiErrorDetails {
  /** The request, such as `PATCH /api/v1/nodes/a/status`. */
  readonly request: string
  /** For people. */
  readonly message: string
  /** HTTP status, or the code of an ERROR event in a watch; absent when no answer came. */
  readonly status?: number
}

export type ApiErrorKind =
  /** 404: the object, or its whole resource (a deleted CRD). */
  | { readonly kind: 'notFound' }
  /** 409 on a create whose name is taken. */
  | { readonly kind: 'alreadyExists' }
  /** 409: the object changed since its resourceVersion was read (or its precondition does not hold). */
  | { readonly kind: 'conflict' }
  /** 410: the resourceVersion or the continue token is too old; list again. */
  | { readonly kind: 'gone' }
  /** 429. */
  | { readonly kind: 'tooManyRequests'; readonly retryAfterMs?: number }
  | { readonly kind: 'forbidden' }
  | { readonly kind: 'unauthorized' }
  /** 400, 422 and other 4xx: the request itself is wrong; `causes` names the fields where the server did. */
  | { readonly kind: 'invalid'; readonly causes: readonly FieldError[] }
  /** No answer came, or only half of one. A write may have taken effect all the same. */
  | { readonly kind: 'unreachable' }
  /** Our own patience (`requestTimeoutMs`) or the server's (504, Timeout) ran out. A write may have taken effect. */
  | { readonly kind: 'timeout' }
  /** 5xx. A write may have taken effect all the same. */
  | { readonly kind: 'server'; readonly retryAfterMs?: number }
  /** The answer is not what the API documents, or the object in it does not parse. A write has taken effect. */
  | { readonly kind: 'malformed'; readonly causes: readonly FieldError[] }

/** One line for people. */
export function formatApiError(error: ApiError): string {
  const status = error.status === undefined ? '' : `${error.status} `
  return `${error.request}: ${status}${error.kind}: ${error.message}`
}
