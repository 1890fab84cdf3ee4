import type { RequestListener } from 'node:http'
import type { Ip } from '../../base/ip.ts'
import type { Logger } from '../../base/logger.ts'
import type { Scheduler } from '../../kube/scheduler.ts'
import type { Change } from '../../proxy/claims.ts'
import type { HealthCheck } from '../../proxy/service-table.ts'
import type { ServicesConfig } from '../config.ts'
import { HealthCheckServers } from './health-check-servers.ts'
import { PatientServer } from '../http/patient-server.ts'

export interface ProxyServersOptions {
  readonly config: Pick<ServicesConfig, 'health' | 'metrics'>
  readonly isProxyHealthy: () => boolean
  readonly healthAnswer: RequestListener
  /** Absent: nobody counts. */
  readonly metricsAnswer: RequestListener | undefined
  readonly scheduler: Scheduler
  readonly logger: Logger
}

/** All that a service proxy listens on, once it is opened. Beside a kube-proxy nothing is: the ports are that one's. */
export class ProxyServers implements AsyncDisposable {
  readonly #options: ProxyServersOptions
  readonly #healthChecks: HealthCheckServers
  #servers: readonly PatientServer[] | undefined

  constructor(options: ProxyServersOptions) {
    this.#options = options
    this.#healthChecks = new HealthCheckServers(options)
  }

  get problems(): readonly string[] {
    return [...(this.#servers ?? []).flatMap(({ problem }) => problem ?? []), ...this.#healthChecks.problems]
  }

  get healthCheckPorts(): number {
    return this.#healthChecks.count
  }

  /** Only the first call does anything. */
  open(): void {
    const { config, healthAnswer, metricsAnswer, scheduler, logger } = this.#options
    this.#servers ??= [
      { purpose: 'health', listen: config.health, answer: healthAnswer },
      { purpose: 'metrics', listen: config.metrics, answer: metricsAnswer },
    ].flatMap(({ purpose, listen, answer }) =>
      listen === undefined || answer === undefined
        ? []
        : [new PatientServer({ purpose, listen, answer, scheduler, logger })],
    )
  }

  follow(changes: readonly Change<number, HealthCheck>[], addresses: readonly Ip[] | undefined): void {
    this.#healthChecks.follow(changes, addresses)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#healthChecks[Symbol.asyncDispose]()
    await Promise.all((this.#servers ?? []).map((server) => server[Symbol.asyncDispose]()))
  }
}
