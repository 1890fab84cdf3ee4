import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { Command } from 'commander'
import { systemClock } from '../base/clock.ts'
import { err, ok, type Result } from '../base/result.ts'
import { type AuthenticationSettings, type ControllerConfig, parseControllerConfig } from '../controller/config.ts'
import { Controller } from '../controller/controller.ts'
import { controllerMetrics, type MetricsSources } from '../controller/metrics.ts'
import type { Logger } from '../base/logger.ts'
import type { ApiClient } from '../kube/api-client.ts'
import { formatApiError } from '../kube/api-error.ts'
import { createApiClient } from '../kube/http-api-client.ts'
import { loadKubeConfig } from '../kube/kube-config.ts'
import { leadWhenElected } from '../kube/leader-election.ts'
import { systemScheduler } from '../kube/scheduler.ts'
import { CallCounters } from '../oci/call-counters.ts'
import type { CoreServices } from '../oci/core-services.ts'
import { limitCoreServices } from '../oci/limited-core-services.ts'
import { defaultRate, RateLimiter } from '../oci/rate-limit.ts'
import { connectCoreServices } from '../oci/sdk-adapter.ts'
import type { OciAuthentication } from '../oci/sdk-auth.ts'
import { systemSleep } from '../oci/sleep.ts'
import { readInputFile } from '../agent/input-files.ts'
import { CliError } from './cli-error.ts'
import { interruptible } from './interrupt.ts'
import { serveMetrics } from './metrics-server.ts'
import { pinoLogger } from './pino-logger.ts'

interface ControllerFlags {
  readonly config: string
  readonly kubeconfig?: string
  readonly identity: string
}

export function controllerCommand(): Command {
  return new Command('controller')
    .description('attach VNICs and assign addresses through the OCI API, and publish them as NativePodNetworks')
    .option('--config <file>', 'configuration (docs/kubernetes.md)', '/etc/vcn-cni/controller.yaml')
    .option('--kubeconfig <file>', 'the cluster’s; without it, the service account of the pod this runs in')
    .option('--identity <name>', 'name among several controllers of the cluster', hostname())
    .action(runController)
}

async function runController({ config: file, kubeconfig, identity }: ControllerFlags): Promise<void> {
  const read = readInputFile(resolve(file), parseControllerConfig)
  if (!read.ok) throw new CliError(read.error)
  const config = read.value
  const logger = pinoLogger(config.logLevel, { controller: identity })
  const access = loadKubeConfig(
    kubeconfig === undefined ? { kind: 'inCluster' } : { kind: 'file', path: resolve(kubeconfig) },
  )
  if (!access.ok) throw new CliError(access.error)
  const client = createApiClient(access.value, { userAgent: 'vcn-cni-controller' })
  const shared = { clock: systemClock, sleep: systemSleep, random: Math.random }
  const limiter = new RateLimiter({ ...shared, settings: { ...defaultRate, ...config.rate } })
  const connected = await connect(config, limiter)
  if (!connected.ok) throw new CliError(connected.error)
  const counters = new CallCounters()
  const services = limitCoreServices(connected.value, { ...shared, limiter, counters })
  const controllers = new Leadership()
  await interruptible(async (signal) => {
    await using _metrics = await startMetrics(config, { counters, limiter, controllers }, logger)
    const parts = { config, client, services, identity, logger, controllers }
    while (!signal.aborted) await leadOnce(parts, signal)
  })
  client.close()
}

/** The controller that runs while this process leads. */
class Leadership {
  current: Controller | undefined
}

interface Measured {
  readonly counters: CallCounters
  readonly limiter: RateLimiter
  readonly controllers: Leadership
}

async function startMetrics(
  { metrics }: ControllerConfig,
  { counters, limiter, controllers }: Measured,
  logger: Logger,
): Promise<AsyncDisposable | undefined> {
  if (metrics === undefined) return undefined
  const leading = (): ReturnType<MetricsSources['leading']> => {
    const { current } = controllers
    return current && { health: current.health(), totals: current.totals() }
  }
  const problems = (): readonly string[] => {
    const health = controllers.current?.health()
    if (health === undefined) return []
    const watched = { nativePodNetworks: health.nativePodNetworks, nodes: health.nodes, pods: health.pods }
    return Object.entries(watched).flatMap(([resource, { synced, lastError }]) => {
      if (synced) return []
      return [`${resource} are not listed yet${lastError === undefined ? '' : `: ${formatApiError(lastError.error)}`}`]
    })
  }
  const server = await serveMetrics({
    ...metrics,
    registry: controllerMetrics({ counters, limiter, leading }),
    problems,
  })
  logger.info('metrics.serving', { url: server.url })
  return server
}

interface Parts {
  readonly config: ControllerConfig
  readonly client: ApiClient
  readonly services: CoreServices
  readonly identity: string
  readonly logger: Logger
  readonly controllers: Leadership
}

/** Waits for its turn and leads until told to stop, or until somebody else does. */
async function leadOnce(parts: Parts, signal: AbortSignal): Promise<void> {
  const { config, client, services, identity, logger, controllers } = parts
  const { namespace, name, durationMs } = config.lease
  const random = Math.random
  const end = await leadWhenElected(
    {
      client,
      lease: { namespace, name },
      // Of this run: what an earlier one of the same name held is waited for.
      identity: `${identity}_${randomUUID()}`,
      leaseDurationMs: durationMs,
      renewDeadlineMs: (durationMs * 2) / 3,
      retryPeriodMs: durationMs / 7,
      scheduler: systemScheduler,
      random,
      logger,
    },
    async (lead) => {
      const running = { config, client, services, identity, scheduler: systemScheduler, random, logger }
      controllers.current = new Controller(running)
      try {
        await controllers.current.run(lead)
      } finally {
        controllers.current = undefined
      }
    },
    signal,
  )
  logger.info('controller.stopped', { end })
}

async function connect({ oci }: ControllerConfig, limiter: RateLimiter): Promise<Result<CoreServices, string>> {
  const authentication = readAuthentication(oci.authentication)
  if (!authentication.ok) return authentication
  return connectCoreServices({
    authentication: authentication.value,
    ...(oci.endpoint !== undefined && { endpoint: oci.endpoint }),
    ...(oci.region !== undefined && { region: oci.region }),
    admitPage: (operation, signal) => limiter.take(operation, signal),
  })
}

function readAuthentication(settings: AuthenticationSettings): Result<OciAuthentication, string> {
  switch (settings.kind) {
    case 'instancePrincipal':
      return ok({ kind: 'instancePrincipal' })
    case 'configFile': {
      const { path, profile } = settings
      return ok({ kind: 'configFile', ...(path !== undefined && { path }), ...(profile !== undefined && { profile }) })
    }
    case 'key': {
      const { privateKeyFile, ...rest } = settings
      try {
        return ok({ ...rest, privateKey: readFileSync(privateKeyFile, 'utf8') })
      } catch (error) {
        return err(`oci.authentication.privateKeyFile: ${error instanceof Error ? error.message : String(error)}`)
      }
    }
  }
}
