import { inspect } from 'node:util'

/** An expected outcome: a value, or an error the caller has to look at. Bugs are thrown instead. */
export type Result<T, E> = Ok<T> | Err<E>
export interface Ok<T> {
  readonly ok: true
  readonly value: T
}
export interface Err<E> {
  readonly ok: false
  readonly error: E
}

export function ok<T>(value: T): Ok<T> {
  return { ok: true, value }
}

export function err<E>(error: E): Err<E> {
  return { ok: false, error }
}

/** The value, or an exception with the error's text: for places where an error would be a bug. */
export function unwrap<T, E>(result: Result<T, E>): T {
  if (result.ok) return result.value
  const { error } = result
  if (error instanceof Error) throw error
  throw new Error(typeof error === 'string' ? error : inspect(error), { cause: error })
}
