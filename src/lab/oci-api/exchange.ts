import type { ServerResponse } from 'node:http'
import { ok, type Result } from '../../base/result.ts'
import { apiError, type ApiError, refuse } from './api-error.ts'
import type { CloudModel } from './cloud-model.ts'
import type { Answer, ApiOperation, ApiRequest, ApiResult } from './operation.ts'
import { pageOf } from './paging.ts'
import type { RetryTokens } from './retry-tokens.ts'

/** What goes back over the wire. */
export interface WireAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** Absent with 204. */
  readonly body?: string
}

export interface Preconditions {
  readonly ifMatch?: string
  readonly retryToken?: string
}

/** Runs the operation under if-match and retry token. */
export async function perform(
  operation: ApiOperation,
  cloud: CloudModel,
  request: ApiRequest,
  { ifMatch, retryToken: token }: Preconditions,
  tokens: RetryTokens,
): Promise<ApiResult> {
  if (ifMatch !== undefined && operation.etag !== undefined && operation.etag(cloud, request.id) !== ifMatch) {
    return refuse('NoEtagMatch', `if-match: ${ifMatch} is not the etag of ${request.id}`)
  }
  const { name, recall } = operation
  if (token === undefined || recall === undefined) return operation.run(cloud, request)
  if (token.length > 64) return refuse('InvalidParameter', 'opc-retry-token is longer than 64 characters')
  const key = { operation: name, token, body: request.body }
  const made = await tokens.once(key, cloud.scheduler.nowMs(), async () => {
    const result = await operation.run(cloud, request)
    return result.ok && result.value.kind === 'resource' ? ok(result.value.id) : failure(result, name)
  })
  if (!made.ok) return made
  const recalled = recall(cloud, made.value)
  return recalled.ok ? recalled : refuse('InvalidatedRetryToken', `what retry token ${token} made is gone`)
}

export function toWire(result: ApiResult, query: ApiRequest['query']): WireAnswer {
  if (!result.ok) return errorToWire(result.error)
  const answer: Answer = result.value
  switch (answer.kind) {
    case 'nothing':
      return { status: 204, headers: {} }
    case 'resource':
      return { status: 200, headers: { etag: answer.etag }, body: JSON.stringify(answer.body) }
    case 'list': {
      const page = pageOf(answer.items, query)
      if (!page.ok) return errorToWire(page.error)
      const { items, next } = page.value
      // Bare array: the token of the next page is a header (reference/oci.md section 3).
      const headers: Record<string, string> = next === undefined ? {} : { 'opc-next-page': next }
      return { status: 200, headers, body: JSON.stringify(items.map(({ body }) => body)) }
    }
  }
}

export function errorToWire({ status, code, message }: ApiError): WireAnswer {
  return { status, headers: {}, body: JSON.stringify({ code, message }) }
}

/** Promises the whole answer, sends half of it, and breaks the connection. */
export function sendHalf(response: ServerResponse, { status, headers, body = '' }: WireAnswer): void {
  response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) })
  response.write(body.slice(0, body.length / 2), () => response.socket?.destroy())
}

function failure(result: ApiResult, name: string): Result<string, ApiError> {
  if (!result.ok) return result
  return { ok: false, error: apiError('InternalServerError', `${name} answers no resource`) }
}
