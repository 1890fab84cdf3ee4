import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Ip } from '../../base/ip.ts'
import type { Logger } from '../../base/logger.ts'
import type { Scheduler } from '../../kube/scheduler.ts'
import type { Change } from '../../proxy/claims.ts'
import type { HealthCheck } from '../../proxy/service-table.ts'
import { sendJson } from './json-answer.ts'
import { PatientServer } from '../http/patient-server.ts'

export interface HealthCheckServersOptions {
  /** Whether the rules in the kernel are those that they should be. */
  readonly isProxyHealthy: () => boolean
  readonly scheduler: Scheduler
  readonly logger: Logger
}

/**
 * The healthCheckNodePorts: what load balancers ask to learn which nodes have endpoints of a Service of policy Local. Open,
 * as node ports are, at the node's own addresses. kube-proxy's counterpart is pkg/proxy/healthcheck/service_health.go.
 */
export class HealthCheckServers implements AsyncDisposable {
  readonly #options: HealthCheckServersOptions
  readonly #checks = new Map<number, HealthCheck>()
  readonly #servers = new Map<string, PatientServer>()
  #addresses: readonly Ip[] = []
  #closing: Promise<unknown> = Promise.resolve()

  constructor(options: HealthCheckServersOptions) {
    this.#options = options
  }

  get problems(): readonly string[] {
    return [...this.#servers.values()].flatMap(({ problem }) => problem ?? [])
  }

  get count(): number {
    return this.#checks.size
  }

  /** `addresses` absent: as before. */
  follow(changes: readonly Change<number, HealthCheck>[], addresses: readonly Ip[] | undefined): void {
    for (const { key, after } of changes) {
      if (after === undefined) this.#checks.delete(key)
      else this.#checks.set(key, after)
    }
    if (addresses !== undefined) this.#addresses = addresses
    const isOther = changes.some(({ before, after }) => before === undefined || after === undefined)
    if (isOther || addresses !== undefined) this.#listen()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#checks.clear()
    this.#listen()
    await this.#closing
  }

  #listen(): void {
    const wanted = new Map<string, { readonly address: Ip; readonly check: HealthCheck }>(
      [...this.#checks.values()].flatMap((check) =>
        this.#addresses.map((address) => [`${address} ${check.port}`, { address, check }] as const),
      ),
    )
    for (const [key, server] of this.#servers) {
      if (wanted.has(key)) continue
      this.#servers.delete(key)
      this.#closing = Promise.all([this.#closing, server[Symbol.asyncDispose]()])
    }
    for (const [key, { address, check }] of wanted) {
      if (!this.#servers.has(key)) this.#servers.set(key, this.#serve(address, check))
    }
  }

  #serve(address: Ip, { port, service }: HealthCheck): PatientServer {
    const { scheduler, logger } = this.#options
    return new PatientServer({
      purpose: `health check of Service ${service.namespace}/${service.name}`,
      listen: { address, port },
      answer: (request, response) => this.#answer(port, request, response),
      scheduler,
      logger,
    })
  }

  #answer(port: number, request: IncomingMessage, response: ServerResponse): void {
    const check = this.#checks.get(port)
    if (check === undefined) {
      request.destroy()
      return
    }
    const { service, localEndpoints } = check
    const serviceProxyHealthy = this.#options.isProxyHealthy()
    const code = localEndpoints > 0 && serviceProxyHealthy ? 200 : 503
    const { namespace, name } = service
    sendJson(
      response,
      code,
      { service: { namespace, name }, localEndpoints, serviceProxyHealthy },
      { 'X-Load-Balancing-Endpoint-Weight': String(localEndpoints) },
    )
  }
}
