import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import type { ApiClient } from './api-client.ts'
import { createApiClient } from './http-api-client.ts'
import { KubeConfigAccess } from './kube-config.ts'

export interface ScriptedRequest {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: http.IncomingHttpHeaders
  readonly body: string
}

/** One answer of the script; `closed` aborts when the client has gone. */
export type Step = (answer: http.ServerResponse, request: ScriptedRequest, closed: AbortSignal) => void | Promise<void>

/** A server that answers the n-th request with the n-th step, and the rest with the last one. */
export class ScriptedServer implements AsyncDisposable {
  readonly requests: ScriptedRequest[] = []
  readonly #server: http.Server
  readonly #clients: ApiClient[] = []

  private constructor(server: http.Server) {
    this.#server = server
  }

  static async start(...steps: readonly Step[]): Promise<ScriptedServer> {
    const server = http.createServer()
    const scripted = new ScriptedServer(server)
    server.on('request', (request, answer) => void scripted.#answer(steps, request, answer))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return scripted
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  client(options: { readonly requestTimeoutMs?: number } = {}): ApiClient {
    const client = createApiClient(kubeConfigFor(`http://127.0.0.1:${this.port}`), { userAgent: 'test', ...options })
    this.#clients.push(client)
    return client
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.close()
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }

  async #answer(steps: readonly Step[], request: http.IncomingMessage, answer: http.ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
    const url = new URL(request.url ?? '/', 'http://server')
    const closed = new AbortController()
    answer.on('close', () => closed.abort())
    const seen = {
      method: request.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers,
      body: Buffer.concat(chunks).toString(),
    }
    const step = steps[Math.min(this.requests.push(seen), steps.length) - 1]
    await step?.(answer, seen, closed.signal)
  }
}

export function kubeConfigFor(server: string): KubeConfigAccess {
  const config = new KubeConfigAccess()
  config.loadFromClusterAndUser({ name: 'test', server, skipTLSVerify: true }, { name: 'test', token: 'secret' })
  return config
}

export function json(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Step {
  return (answer) => {
    answer.writeHead(status, { 'content-type': 'application/json', ...headers })
    answer.end(JSON.stringify(body))
  }
}

export function failure(code: number, reason: string, details: object = {}): Step {
  return json(code, statusOf(code, reason, details))
}

export function statusOf(code: number, reason: string, details: object = {}): object {
  return { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message: `${reason} it is`, details }
}

export function podList(resourceVersion: string, pods: readonly object[], continueToken?: string): Step {
  const metadata = { resourceVersion, ...(continueToken === undefined ? {} : { continue: continueToken }) }
  return json(200, { kind: 'PodList', apiVersion: 'v1', metadata, items: pods })
}

export function pod(name: string, resourceVersion: string, extra: object = {}): object {
  const metadata = { namespace: 'shop', name, uid: `uid-${name}`, resourceVersion, ...extra }
  return { metadata, spec: { nodeName: 'node-a' }, status: { phase: 'Running' } }
}

export function line(type: string, object: object): string {
  return `${JSON.stringify({ type, object })}\n`
}

export function bookmark(resourceVersion: string): string {
  return line('BOOKMARK', { kind: 'Pod', metadata: { resourceVersion } })
}

/** A watch that writes these pieces and then ends, breaks, or stays open without a word. */
export function watch(pieces: readonly string[], ending: 'end' | 'reset' | 'silence'): Step {
  return async (answer) => {
    answer.writeHead(200, { 'content-type': 'application/json' })
    answer.flushHeaders()
    for (const piece of pieces) {
      await new Promise((resolve) => answer.write(piece, resolve))
      // Apart, so that the pieces arrive as pieces.
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    if (ending === 'end') answer.end()
    if (ending === 'reset') answer.socket?.resetAndDestroy()
  }
}
