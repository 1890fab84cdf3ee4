import { ok, type Result } from '../../base/result.ts'
import { type ApiError, refuse } from './api-error.ts'

export interface Page<T> {
  readonly items: readonly T[]
  /** For the `page` query; absent on the last page. */
  readonly next?: string
}

const defaultLimit = 100
const highestLimit = 1000

/** One page of a list. Its token points behind an item and not at a number: the list changes between pages. */
export function pageOf<T extends { readonly key: string }>(
  all: readonly T[],
  query: Readonly<Record<string, string>>,
): Result<Page<T>, ApiError> {
  const { limit: limitText = String(defaultLimit), page: token } = query
  const limit = Number(limitText)
  if (!Number.isInteger(limit) || limit < 1 || limit > highestLimit) {
    return refuse('InvalidParameter', `limit: ${limitText} is not from 1 to ${highestLimit}`)
  }
  const start = token === undefined ? 0 : startAfter(all, token)
  if (start === undefined) return refuse('InvalidParameter', `page: ${token ?? ''} is no page of this list`)
  const items = all.slice(start, start + limit)
  const last = items.at(-1)
  if (last === undefined || start + limit >= all.length) return ok({ items })
  return ok({ items, next: Buffer.from(`${start + limit} ${last.key}`).toString('base64url') })
}

function startAfter(all: readonly { readonly key: string }[], token: string): number | undefined {
  const [, position, key] = /^(\d+) (.+)$/.exec(Buffer.from(token, 'base64url').toString()) ?? []
  if (position === undefined) return undefined
  const index = all.findIndex((item) => item.key === key)
  // The item has gone: rather one again than one never.
  return index >= 0 ? index + 1 : Math.max(0, Number(position) - 1)
}
