import { randomBytes } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { type Ipv4Cidr, parseIpv4Cidr } from '../../base/cidr.ts'
import { type Clock, systemClock } from '../../base/clock.ts'
import { type Logger, silentLogger } from '../../base/logger.ts'
import { unwrap } from '../../base/result.ts'
import { type ApiAnswer, answerRequest, type ApiRequest, statusAnswer } from './api.ts'
import type { ApiState } from './api-state.ts'
import { resetConnection } from './connection-reset.ts'
import { ContentCleanup } from './content-cleanup.ts'
import { createCertificate, renderKubeconfig, type ServerCertificate } from './credentials.ts'
import { discoveryDocument, gitVersion } from './discovery.ts'
import { type FaultAnswer, Faults, type SeenRequest } from './faults.ts'
import { GarbageCollector } from './garbage-collector.ts'
import { openApiDocument } from './openapi.ts'
import { encodeOpenApi } from './openapi-protobuf.ts'
import { PauseGate } from './pause-gate.ts'
import { ResourceRegistry } from './registry.ts'
import { StatusError } from './status-error.ts'
import { Store } from './store.ts'
import { WatchConnections } from './watch-connections.ts'
import { createObject } from './writes.ts'

export interface KubeApiOptions {
  /** Address to listen on; by default 127.0.0.1. */
  readonly host?: string
  /** By default any that is free. */
  readonly port?: number
  /** With https every request needs the kubeconfig's token, as kubectl sends none over plain http. */
  readonly tls?: boolean
  /** How many changes stay known to watches that resume; by default 10,000. */
  readonly historyLength?: number
  /** By default 5 s; a real server takes about a minute. */
  readonly bookmarkIntervalMs?: number
  /** How a watch from a forgotten version is refused: an ERROR event (default) or HTTP status 410. */
  readonly goneAs?: 'event' | 'status'
  /** Where services get their addresses; by default 10.96.0.0/16. */
  readonly serviceCidr?: Ipv4Cidr
  readonly clock?: Clock
  readonly log?: Logger
  readonly onRequest?: (request: SeenRequest) => void
}

const protobufOpenApi = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf'

/** A small Kubernetes API server, in memory, for labs and tests without a cluster. It runs nothing and secures little. */
export class KubeApiServer {
  readonly faults = new Faults()
  readonly state: ApiState
  readonly #options: KubeApiOptions
  readonly #app: FastifyInstance
  readonly #token = randomBytes(24).toString('hex')
  readonly #certificate: ServerCertificate | undefined
  readonly #watches: WatchConnections
  readonly #gate = new PauseGate()
  readonly #stack = new DisposableStack()
  #url = ''

  private constructor(options: KubeApiOptions, certificate: ServerCertificate | undefined) {
    const store = new Store({ historyLength: options.historyLength ?? 10_000 })
    this.#options = options
    this.#certificate = certificate
    this.state = {
      store,
      registry: new ResourceRegistry(store),
      clock: options.clock ?? systemClock,
      serviceCidr: options.serviceCidr ?? unwrap(parseIpv4Cidr('10.96.0.0/16')),
      goneAs: options.goneAs ?? 'event',
    }
    this.#watches = new WatchConnections(this.state, this.#gate, options.bookmarkIntervalMs ?? 5000)
    this.#app = Fastify({
      bodyLimit: 3 * 1024 * 1024,
      forceCloseConnections: true,
      ...(certificate === undefined ? {} : { https: certificate }),
    })
  }

  static async start(options: KubeApiOptions = {}): Promise<KubeApiServer> {
    const host = options.host ?? '127.0.0.1'
    const server = new KubeApiServer(options, options.tls === true ? await createCertificate(host) : undefined)
    await server.#listen(host, options.port ?? 0)
    return server
  }

  get url(): string {
    return this.#url
  }

  get store(): Store {
    return this.state.store
  }

  /** The text of a kubeconfig for this server. */
  kubeconfig(): string {
    return renderKubeconfig({ url: this.#url, token: this.#token, certificate: this.#certificate })
  }

  /** How many watches are open. */
  get watchCount(): number {
    return this.#watches.count
  }

  /** Ends all open watches: properly, or by resetting their connections. */
  disconnectWatches(how: 'end' | 'reset' = 'reset'): void {
    this.#watches.disconnect(how)
  }

  /** From now on requests are accepted but not answered, and watches are silent, until `resume`. */
  pause(): void {
    this.#gate.pause()
  }

  resume(): void {
    this.#gate.resume()
  }

  /** Forgets the history: a watch that resumes is answered 410. */
  compact(): void {
    this.state.store.compact()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#watches.disconnect('reset')
    this.#stack.dispose()
    this.#gate.resume()
    await this.#app.close()
  }

  async #listen(host: string, port: number): Promise<void> {
    this.#stack.use(new GarbageCollector(this.state))
    this.#stack.use(new ContentCleanup(this.state))
    createNamespaces(this.state)
    this.#app.removeAllContentTypeParsers()
    this.#app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
    this.#app.route({ method: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'], url: '*', handler: this.#handle.bind(this) })
    await this.#app.listen({ host, port })
    const { port: actual } = this.#app.server.address() as AddressInfo
    const scheme = this.#certificate === undefined ? 'http' : 'https'
    this.#url = `${scheme}://${host.includes(':') ? `[${host}]` : host}:${actual}`
    const log = this.#options.log ?? silentLogger
    log.info('lab.kube-api.listening', {
      url: this.#url,
      gitVersion,
      note: 'for the lab only: in memory, runs nothing',
    })
  }

  async #handle(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { pathname, search, searchParams } = new URL(request.url, 'http://server')
    const seen = { method: request.method, path: pathname, query: search.slice(1) }
    this.#options.onRequest?.(seen)
    await this.#gate.passed()
    const fault = this.faults.take(seen)
    if (fault !== undefined && (await applyFault(fault, request, reply))) return reply
    if (!this.#isAuthorized(request, pathname)) {
      return send(reply, statusAnswer(new StatusError(401, 'Unauthorized', 'Unauthorized')))
    }
    const other = this.#otherDocument(request, reply, pathname)
    if (other !== undefined) return other
    const answer = answerRequest(this.state, apiRequest(request, pathname, searchParams))
    if (fault?.kind === 'lost-answer') return reset(request, reply)
    if (answer.kind === 'json') return send(reply, answer)
    this.#watches.open(answer.watch, request, reply)
    return reply
  }

  #isAuthorized({ headers }: FastifyRequest, path: string): boolean {
    const isOpen = this.#certificate === undefined || healthPaths.includes(path) || path === '/version'
    return isOpen || headers.authorization === `Bearer ${this.#token}`
  }

  #otherDocument(request: FastifyRequest, reply: FastifyReply, path: string): FastifyReply | undefined {
    if (healthPaths.includes(path)) return reply.type('text/plain').send('ok')
    if (path === '/openapi/v2') {
      const document = openApiDocument(this.state.registry.all())
      const wantsJson = !(request.headers.accept ?? '').includes('protobuf')
      return wantsJson ? reply.send(document) : reply.type(protobufOpenApi).send(encodeOpenApi(document))
    }
    const document = request.method === 'GET' ? discoveryDocument(path, this.state.registry.all()) : undefined
    return document && reply.send(document)
  }
}

const healthPaths = ['/healthz', '/livez', '/readyz']
const bootNamespaces = ['default', 'kube-system', 'kube-public', 'kube-node-lease']

function createNamespaces(state: ApiState): void {
  const resource = state.registry.find('', 'v1', 'namespaces')
  if (resource === undefined) throw new Error('namespaces are a built-in kind')
  for (const name of bootNamespaces) {
    const target = { resource, namespace: '', name: '', subresource: '' }
    createObject(state, target, { metadata: { name } }, { dryRun: false, fieldValidation: 'Strict' })
  }
}

function apiRequest(request: FastifyRequest, path: string, query: URLSearchParams): ApiRequest {
  return {
    method: request.method,
    path,
    query,
    accept: request.headers.accept,
    contentType: request.headers['content-type'] ?? '',
    body: Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0),
  }
}

function send(reply: FastifyReply, answer: ApiAnswer): FastifyReply {
  if (answer.kind === 'watch') throw new Error('a watch is no single answer')
  for (const [name, value] of Object.entries(answer.headers)) {
    void reply.header(name, Array.isArray(value) ? [...(value as readonly string[])] : value)
  }
  return reply.code(answer.code).send(answer.body)
}

/** True when the request is done with. */
async function applyFault(fault: FaultAnswer, request: FastifyRequest, reply: FastifyReply): Promise<boolean> {
  switch (fault.kind) {
    case 'status': {
      const details = fault.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: fault.retryAfterSeconds }
      send(reply, statusAnswer(new StatusError(fault.code, fault.reason ?? 'InternalError', 'injected fault', details)))
      return true
    }
    case 'reset':
      reset(request, reply)
      return true
    case 'delay':
      await new Promise((resolve) => setTimeout(resolve, fault.delayMs))
      return false
    case 'lost-answer':
      return false
  }
}

function reset(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  reply.hijack()
  resetConnection(request.raw.socket)
  return reply
}
