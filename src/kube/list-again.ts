import type { ApiError } from './api-error.ts'

/**
 * After which failures of a watch its resourceVersion is not trusted any more. A server restored from a backup may know nothing
 * of ours yet and say so (invalid, timeout) or be silent (timeout); an event that nobody can read would come again (malformed).
 */
export const listAgain: Readonly<Record<ApiError['kind'], boolean>> = {
  gone: true,
  invalid: true,
  malformed: true,
  timeout: true,
  notFound: true,
  alreadyExists: false,
  conflict: false,
  forbidden: false,
  server: false,
  tooManyRequests: false,
  unauthorized: false,
  unreachable: false,
}
