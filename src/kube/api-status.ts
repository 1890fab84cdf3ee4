import * as z from 'zod'
import { parseWith } from '../base/schema.ts'
import type { ApiError, ApiErrorKind } from './api-error.ts'

// apimachinery meta/v1 Status; lenient, because a proxy in between may answer in its own words.
const statusSchema = z.object({
  kind: z.literal('Status').optional(),
  message: z.string().catch(''),
  reason: z.string().catch(''),
  code: z.number().optional().catch(undefined),
  details: z
    .object({
      retryAfterSeconds: z.number().optional(),
      causes: z.array(z.object({ message: z.string().catch(''), field: z.string().catch('') })).nullish(),
    })
    .nullish()
    .catch(undefined),
})

interface StatusFacts {
  readonly message: string
  readonly reason: string
  readonly code: number
  readonly causes: readonly { readonly field: string; readonly problem: string }[]
  readonly retryAfterMs?: number
}

/** The error of an answer outside 2xx; `body` is its text, whatever that is. */
export function apiErrorOfAnswer(
  request: string,
  answer: { readonly status: number; readonly retryAfterMs?: number; readonly body: string },
): ApiError {
  const facts = readStatus(parseJson(answer.body), answer.status)
  const retryAfterMs = facts.retryAfterMs ?? answer.retryAfterMs
  const message = facts.message === '' ? answer.body.trim().slice(0, 200) || 'no explanation' : facts.message
  return errorOf(request, { ...facts, message, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) })
}

/** The error of a watch's ERROR event, whose object is a Status. */
export function apiErrorOfStatus(request: string, status: unknown): ApiError {
  return errorOf(request, readStatus(status, 500))
}

function readStatus(raw: unknown, fallbackCode: number): StatusFacts {
  const parsed = parseWith(statusSchema, raw)
  if (!parsed.ok) return { message: '', reason: '', code: fallbackCode, causes: [] }
  const { message, reason, code, details } = parsed.value
  const retryAfterSeconds = details?.retryAfterSeconds ?? 0
  return {
    message,
    reason,
    code: code ?? fallbackCode,
    causes: (details?.causes ?? []).map((cause) => ({ field: cause.field, problem: cause.message })),
    ...(retryAfterSeconds > 0 ? { retryAfterMs: retryAfterSeconds * 1000 } : {}),
  }
}

function errorOf(request: string, facts: StatusFacts): ApiError {
  return { request, message: facts.message, status: facts.code, ...kindOf(facts) }
}

function kindOf(facts: StatusFacts): ApiErrorKind {
  const retryAfter = facts.retryAfterMs === undefined ? {} : { retryAfterMs: facts.retryAfterMs }
  // 504 is also what a load balancer says; both mean that nobody knows how it went.
  if (facts.reason === 'Timeout' || facts.code === 504) return { kind: 'timeout' }
  switch (facts.code) {
    case 401:
      return { kind: 'unauthorized' }
    case 403:
      return { kind: 'forbidden' }
    case 404:
      return { kind: 'notFound' }
    case 409:
      return { kind: facts.reason === 'AlreadyExists' ? 'alreadyExists' : 'conflict' }
    case 410:
      return { kind: 'gone' }
    case 429:
      return { kind: 'tooManyRequests', ...retryAfter }
  }
  return facts.code >= 500 ? { kind: 'server', ...retryAfter } : { kind: 'invalid', causes: facts.causes }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
