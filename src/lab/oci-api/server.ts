import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { apiError } from './api-error.ts'
import type { CloudModel } from './cloud-model.ts'
import { computeOperations } from './compute-operations.ts'
import { errorToWire, perform, sendHalf, toWire, type WireAnswer } from './exchange.ts'
import { type Fault, FaultPlan } from './faults.ts'
import { networkOperations } from './network-operations.ts'
import type { ApiOperation, Query } from './operation.ts'
import { type Quota, QuotaKeeper } from './quota.ts'
import { RetryTokens } from './retry-tokens.ts'
import { type SigningKeys, verifySignature } from './signature.ts'

export interface OciApiOptions {
  readonly model: CloudModel
  readonly keys: SigningKeys
  /** 127.0.0.1 when absent. */
  readonly host?: string
  /** Any free one when absent. */
  readonly port?: number
  /** No limit for an operation without one. */
  readonly quotaOf?: (operation: string) => Quota | undefined
  readonly faults?: FaultPlan
  /** How far the server's clock is ahead of the model's. */
  readonly skewMs?: number
}

export interface ServedCounts {
  readonly calls: number
  /** 0 counts the requests that were left without an answer. */
  readonly byStatus: ReadonlyMap<number, number>
}

/** Core Services API version of the emulated operations. */
const basePath = '/20160918'
const allOperations: readonly ApiOperation[] = [...computeOperations, ...networkOperations]

/** The part of Oracle's Core Services that the project uses, over HTTP, on an emulated cloud. For the lab only. */
export class OciApiServer implements AsyncDisposable {
  readonly #app: FastifyInstance
  readonly #options: OciApiOptions
  readonly #tokens = new RetryTokens()
  readonly #quota: QuotaKeeper
  #faults: FaultPlan
  readonly #counts = new Map<string, Map<number, number>>()
  #endpoint = ''

  private constructor(options: OciApiOptions) {
    this.#options = options
    this.#quota = new QuotaKeeper(options.quotaOf ?? (() => undefined))
    this.#faults = options.faults ?? new FaultPlan([], 0)
    this.#app = fastify({ forceCloseConnections: true })
    this.#app.removeAllContentTypeParsers()
    this.#app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
    this.#addRoutes()
  }

  static async start(options: OciApiOptions): Promise<OciApiServer> {
    const server = new OciApiServer(options)
    server.#endpoint = await server.#app.listen({ host: options.host ?? '127.0.0.1', port: options.port ?? 0 })
    return server
  }

  /** For the SDK clients' `endpoint`, such as http://127.0.0.1:4567. */
  get endpoint(): string {
    return this.#endpoint
  }

  /** By operation, as named in the API reference. */
  get counts(): ReadonlyMap<string, ServedCounts> {
    const entries = [...this.#counts].map(([operation, byStatus]) => {
      const calls = [...byStatus.values()].reduce((sum, count) => sum + count, 0)
      return [operation, { calls, byStatus }] as const
    })
    return new Map(entries)
  }

  /** From the next request on. */
  setFaults(faults: FaultPlan): void {
    this.#faults = faults
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#app.close()
  }

  #addRoutes(): void {
    for (const path of new Set(allOperations.map((operation) => operation.path))) {
      this.#app.all(basePath + path, async (request, reply) => {
        const operation = allOperations.find((one) => one.path === path && one.method === request.method)
        if (operation !== undefined) return this.#serve(operation, request, reply)
        const refusal = errorToWire(apiError('MethodNotAllowed', `${request.method} ${path}`))
        return this.#send(request, reply, refusal)
      })
    }
    this.#app.setNotFoundHandler((request, reply) => {
      return this.#send(request, reply, errorToWire(apiError('NotFound', `no operation at ${request.url}`)))
    })
  }

  async #serve(operation: ApiOperation, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const refusal = this.#refusal(operation, request)
    const faults = refusal === undefined ? this.#faults.next(operation.name) : []
    for (const fault of faults) if (fault.kind === 'delay') await sleep(fault.delayMs, undefined, { ref: false })
    const early = refusal ?? earlyAnswer(faults)
    if (early !== undefined) return this.#sendCounted(operation, request, reply, early)
    if (faults.some(({ kind }) => kind === 'reset')) return this.#reset(operation, request, reply)
    const answer = await this.#perform(operation, request)
    if (faults.some(({ kind }) => kind === 'lostAnswer')) return this.#reset(operation, request, reply)
    if (!faults.some(({ kind }) => kind === 'truncated')) return this.#sendCounted(operation, request, reply, answer)
    // An answer without a body has no middle.
    if (answer.body === undefined) return this.#reset(operation, request, reply)
    this.#count(operation, 0)
    reply.hijack()
    sendHalf(reply.raw, { ...answer, headers: { ...answer.headers, ...this.#commonHeaders(request) } })
    return reply
  }

  #refusal(operation: ApiOperation, request: FastifyRequest): WireAnswer | undefined {
    const { method, url: target, headers } = request
    const verified = verifySignature(
      { method, target, headers, body: bodyOf(request) },
      this.#options.keys,
      this.#nowMs(),
    )
    if (!verified.ok) return errorToWire(verified.error)
    if (this.#quota.admits(operation.name, this.#options.model.scheduler.nowMs())) return undefined
    return errorToWire(apiError('TooManyRequests', `too many requests for ${operation.name}`))
  }

  async #perform(operation: ApiOperation, request: FastifyRequest): Promise<WireAnswer> {
    const query = request.query as Query
    const { id = '' } = request.params as { id?: string }
    const preconditions = preconditionsOf(request)
    const apiRequest = { id, query, body: bodyOf(request) }
    return toWire(await perform(operation, this.#options.model, apiRequest, preconditions, this.#tokens), query)
  }

  #sendCounted(
    operation: ApiOperation,
    request: FastifyRequest,
    reply: FastifyReply,
    answer: WireAnswer,
  ): FastifyReply {
    this.#count(operation, answer.status)
    return this.#send(request, reply, answer)
  }

  #send(request: FastifyRequest, reply: FastifyReply, { status, headers, body }: WireAnswer): FastifyReply {
    reply.code(status).headers({ ...headers, ...this.#commonHeaders(request) })
    return body === undefined ? reply.send() : reply.type('application/json').send(body)
  }

  #reset(operation: ApiOperation, request: FastifyRequest, reply: FastifyReply): FastifyReply {
    this.#count(operation, 0)
    reply.hijack()
    request.raw.socket.resetAndDestroy()
    return reply
  }

  #count(operation: ApiOperation, status: number): void {
    const byStatus = this.#counts.get(operation.name) ?? new Map<number, number>()
    this.#counts.set(operation.name, byStatus.set(status, (byStatus.get(status) ?? 0) + 1))
  }

  #commonHeaders(request: FastifyRequest): Record<string, string> {
    // The client's own part, when it gives one, comes first.
    const given = request.headers['opc-request-id']
    const own = randomUUID().replaceAll('-', '').toUpperCase()
    return {
      'opc-request-id': typeof given === 'string' ? `${given}/${own}` : own,
      date: new Date(this.#nowMs()).toUTCString(),
    }
  }

  #nowMs(): number {
    return this.#options.model.scheduler.nowMs() + (this.#options.skewMs ?? 0)
  }
}

function earlyAnswer(faults: readonly Fault[]): WireAnswer | undefined {
  const fault = faults.find((one) => one.kind === 'status')
  if (fault === undefined) return undefined
  const { status, code, retryAfterSeconds } = fault
  const answer = errorToWire({ status, code, message: 'by the fault plan' })
  if (retryAfterSeconds === undefined) return answer
  return { ...answer, headers: { 'retry-after': String(retryAfterSeconds) } }
}

function preconditionsOf({ headers }: FastifyRequest): { ifMatch?: string; retryToken?: string } {
  const retryToken = headers['opc-retry-token']
  return {
    ...(headers['if-match'] !== undefined && { ifMatch: headers['if-match'] }),
    ...(typeof retryToken === 'string' && { retryToken }),
  }
}

function bodyOf(request: FastifyRequest): Buffer {
  return Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
}
