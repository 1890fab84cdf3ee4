import http from 'node:http'
import https from 'node:https'
import { err, ok, type Result } from '../base/result.ts'
import type { ApiAccess } from './api-access.ts'

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** With the query, and without the server's own prefix. */
  readonly path: string
  readonly body?: string
  readonly contentType?: string
  /** Until the headers of the answer are there. */
  readonly timeoutMs: number
}

export interface HttpAnswer {
  readonly status: number
  readonly retryAfterMs?: number
  readonly body: http.IncomingMessage
}

export interface TransportFailure {
  readonly kind: 'unreachable' | 'timeout' | 'credentials'
  readonly message: string
}

/** Authenticated requests over kept-alive connections to one server. */
export class HttpTransport implements Disposable {
  readonly #access: ApiAccess
  readonly #server: URL
  readonly #userAgent: string
  readonly #http = new http.Agent({ keepAlive: true })
  // Node keeps connections apart by certificate and key, so rotated credentials get new ones (Agent.getName).
  readonly #https = new https.Agent({ keepAlive: true })

  constructor(access: ApiAccess, userAgent: string) {
    this.#access = access
    this.#server = access.server
    this.#userAgent = userAgent
  }

  /** The body is the caller's to read or destroy. Aborting destroys it; before the answer it rejects with the reason. */
  async send(request: HttpRequest, signal: AbortSignal): Promise<Result<HttpAnswer, TransportFailure>> {
    signal.throwIfAborted()
    const options = await this.#authenticated(request)
    if (!options.ok) return options
    signal.throwIfAborted()
    const first = await this.#exchange(options.value, request, signal)
    // The server may close an idle connection just as we take it up again (Node's documentation of request.reusedSocket).
    // Only reads are repeated: a write may have arrived.
    const isStale = !first.ok && first.error.isStaleConnection && request.method === 'GET'
    return isStale ? this.#exchange(options.value, request, signal) : first
  }

  [Symbol.dispose](): void {
    this.#http.destroy()
    this.#https.destroy()
  }

  async #authenticated(request: HttpRequest): Promise<Result<https.RequestOptions, TransportFailure>> {
    const server = this.#server
    const granted = await this.#access.credentials()
    if (!granted.ok) return err({ kind: 'credentials', message: `no credentials: ${granted.error}` })
    const { headers, options, proxyAgent } = granted.value
    return ok({
      ...options,
      agent: proxyAgent ?? (server.protocol === 'http:' ? this.#http : this.#https),
      protocol: server.protocol,
      hostname: unbracketed(server.hostname),
      port: server.port,
      method: request.method,
      path: `${server.pathname.replace(/\/$/, '')}${request.path}`,
      headers: { ...headers, ...bodyHeaders(request), 'user-agent': this.#userAgent },
    })
  }

  #exchange(
    options: https.RequestOptions,
    { body, timeoutMs }: HttpRequest,
    signal: AbortSignal,
  ): Promise<Result<HttpAnswer, TransportFailure & { readonly isStaleConnection: boolean }>> {
    return new Promise((resolve, reject) => {
      const request = (this.#server.protocol === 'http:' ? http : https).request({ ...options, signal })
      const timer = setTimeout(() => request.destroy(new TimeoutError(timeoutMs)), timeoutMs)
      request.on('socket', (socket) => socket.setKeepAlive(true, keepAliveProbeMs))
      request.on('response', (answer) => {
        clearTimeout(timer)
        resolve(ok({ status: answer.statusCode ?? 0, ...retryAfter(answer), body: answer }))
      })
      request.on('error', (error) => {
        clearTimeout(timer)
        if (signal.aborted) {
          reject(signal.reason as Error)
          return
        }
        const kind = error instanceof TimeoutError ? 'timeout' : 'unreachable'
        const isStaleConnection = request.reusedSocket && 'code' in error && error.code === 'ECONNRESET'
        resolve(err({ kind, message: messageOf(error), isStaleConnection }))
      })
      request.end(body)
    })
  }
}

// As client-go: a peer that went away without a word is noticed by the kernel, below the silence limits of watches.
const keepAliveProbeMs = 30_000

class TimeoutError extends Error {
  constructor(timeoutMs: number) {
    super(`no answer within ${timeoutMs} ms`)
  }
}

function bodyHeaders({ body, contentType }: HttpRequest): http.OutgoingHttpHeaders {
  const accept = { accept: 'application/json' }
  if (body === undefined) return accept
  return { ...accept, 'content-type': contentType ?? 'application/json', 'content-length': Buffer.byteLength(body) }
}

// RFC 9110 10.2.3 also allows a date; the API server writes seconds.
function retryAfter({ headers }: http.IncomingMessage): { readonly retryAfterMs?: number } {
  const seconds = Number(headers['retry-after'])
  return Number.isFinite(seconds) && seconds >= 0 ? { retryAfterMs: seconds * 1000 } : {}
}

function unbracketed(hostname: string): string {
  return hostname.replace(/^\[(.*)\]$/, '$1')
}

/** AggregateError (several addresses tried) has its story in its parts. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(messageOf).join('; ')
  return error instanceof Error ? error.message : String(error)
}
