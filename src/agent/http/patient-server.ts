import { createServer, type RequestListener, type Server } from 'node:http'
import type { Logger } from '../../base/logger.ts'
import type { Scheduler } from '../../kube/scheduler.ts'
import type { ListenAddress } from '../config-fields.ts'

export interface PatientServerOptions {
  /** What it is for, in words for logs and status. */
  readonly purpose: string
  readonly listen: ListenAddress
  readonly answer: RequestListener
  readonly scheduler: Scheduler
  readonly logger: Logger
}

/** Between two attempts to get a port that somebody else has. */
export const retryMs = 5_000
/** Probes are short; who is slow, or keeps connections for nothing, is cut off. */
const requestTimeoutMs = 10_000
const maxConnections = 64

/**
 * An HTTP server that keeps asking for its port while somebody else has it: kube-proxy on its way out, or a Service's port
 * that was given away meanwhile. node:http, not fastify: one answer needs no router, and there may be hundreds of them.
 */
export class PatientServer implements AsyncDisposable {
  readonly #options: PatientServerOptions
  #server: Server | undefined
  #problem: string | undefined
  #cancelRetry: () => void = () => undefined
  #isClosed = false

  constructor(options: PatientServerOptions) {
    this.#options = options
    this.#open()
  }

  /** Why it does not listen yet. */
  get problem(): string | undefined {
    return this.#problem
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    this.#cancelRetry()
    const server = this.#server
    if (server === undefined) return
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    server.closeAllConnections()
    await closed
  }

  #open(): void {
    const { listen, answer } = this.#options
    const server = createServer({ requestTimeout: requestTimeoutMs, headersTimeout: requestTimeoutMs }, answer)
    server.maxConnections = maxConnections
    server.on('error', (error: NodeJS.ErrnoException) => this.#failed(server, error))
    server.listen({ host: listen.address, port: listen.port }, () => this.#opened())
    this.#server = server
  }

  #opened(): void {
    if (this.#problem === undefined) return
    this.#problem = undefined
    this.#options.logger.info('port.opened', this.#subject())
  }

  #failed(server: Server, { code = '', message }: NodeJS.ErrnoException): void {
    const { purpose, listen, scheduler, logger } = this.#options
    // Such as too many open files while a connection is accepted: it goes on listening.
    if (this.#isClosed || server.listening) return
    const problem = `${purpose}: cannot listen on ${listen.address} port ${listen.port}: ${reasons[code] ?? message}`
    if (problem !== this.#problem) logger.warn('port.failed', { ...this.#subject(), problem })
    this.#problem = problem
    this.#server = undefined
    this.#cancelRetry = scheduler.after(retryMs, () => this.#open())
  }

  #subject(): Readonly<Record<string, unknown>> {
    const { purpose, listen } = this.#options
    return { purpose, ...listen }
  }
}

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program has it',
  EADDRNOTAVAIL: 'no interface of this node has the address',
}
