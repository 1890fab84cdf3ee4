import { err, type Err } from '../../base/result.ts'

/** An error answer: status, and JSON of the other two. */
export interface ApiError {
  readonly status: number
  readonly code: string
  readonly message: string
}

// Status and code belong together (Oracle's "API Errors").
const statusByCode = {
  CannotParseRequest: 400,
  InvalidParameter: 400,
  LimitExceeded: 400,
  MissingParameter: 400,
  QuotaExceeded: 400,
  RelatedResourceNotAuthorizedOrNotFound: 400,
  NotAuthenticated: 401,
  NotAuthorized: 403,
  NotAuthorizedOrNotFound: 404,
  NotFound: 404,
  MethodNotAllowed: 405,
  Conflict: 409,
  IncorrectState: 409,
  InvalidatedRetryToken: 409,
  NoEtagMatch: 412,
  TooManyRequests: 429,
  InternalServerError: 500,
  ServiceUnavailable: 503,
} as const

export type ApiErrorCode = keyof typeof statusByCode

export function apiError(code: ApiErrorCode, message: string): ApiError {
  return { status: statusByCode[code], code, message }
}

export function refuse(code: ApiErrorCode, message: string): Err<ApiError> {
  return err(apiError(code, message))
}
