import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { Command } from 'commander'
import { systemClock } from '../base/clock.ts'
import { err, ok, type Result } from '../base/result.ts'
import { type AuthenticationSettings, type ControllerConfig, parseControllerConfig } from '../controller/config.ts'
import { Controller } from '../controller/controller.ts'
import type { Logger } from '../base/logger.ts'
import type { ApiClient } from '../kube/api-client.ts'
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
import { pinoLogger } from './pino-logger.ts'

interface ControllerFlags {
  readonly config: string
  readonly kubeconfig?: string
  readonly identity: string
}

export function controllerCommand(): Command {
  return new Command('controller')
    .description('attach VNICs and assign addresses through the OCI API, and publish them as NativePodNetworks')
    .option('--config <file>', 'configuration (docs/configuration.md)', '/etc/vcn-cni/controller.yaml')
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
  const services = await connect(config)
  if (!services.ok) throw new CliError(services.error)
  await interruptible(async (signal) => {
    while (!signal.aborted) await leadOnce({ config, client, services: services.value, identity, logger }, signal)
  })
  client.close()
}

interface Parts {
  readonly config: ControllerConfig
  readonly client: ApiClient
  readonly services: CoreServices
  readonly identity: string
  readonly logger: Logger
}

/** Waits for its turn and leads until told to stop, or until somebody else does. */
async function leadOnce({ config, client, services, identity, logger }: Parts, signal: AbortSignal): Promise<void> {
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
      const controller = new Controller({
        config,
        client,
        services,
        identity,
        scheduler: systemScheduler,
        random,
        logger,
      })
      await controller.run(lead)
    },
    signal,
  )
  logger.info('controller.stopped', { end })
}

async function connect({ oci, rate }: ControllerConfig): Promise<Result<CoreServices, string>> {
  const authentication = readAuthentication(oci.authentication)
  if (!authentication.ok) return authentication
  const shared = { clock: systemClock, sleep: systemSleep, random: Math.random }
  const limiter = new RateLimiter({ ...shared, settings: { ...defaultRate, ...rate } })
  const connected = await connectCoreServices({
    authentication: authentication.value,
    ...(oci.endpoint !== undefined && { endpoint: oci.endpoint }),
    ...(oci.region !== undefined && { region: oci.region }),
    admitPage: (operation, signal) => limiter.take(operation, signal),
  })
  if (!connected.ok) return connected
  return ok(limitCoreServices(connected.value, { ...shared, limiter, counters: new CallCounters() }))
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
