import type { Logger } from '../../base/logger.ts'
import { err, ok, type Result } from '../../base/result.ts'
import type { ApiClient } from '../../kube/api-client.ts'
import { formatApiError } from '../../kube/api-error.ts'
import type { NativePodNetwork } from '../../kube/native-pod-network.ts'
import { nativePodNetworks } from '../../kube/resources.ts'
import type { Random, Scheduler } from '../../kube/scheduler.ts'
import { PokedWorker } from './poked-worker.ts'
import { planReport, type StatusReport } from './status-report.ts'

export interface StatusReporterOptions {
  readonly client: Pick<ApiClient, 'get' | 'patchStatus'>
  /** As last seen; undefined when there is nothing to report to. */
  readonly network: () => NativePodNetwork | undefined
  /** What is true now; `againMs`: when it changes by itself. */
  readonly report: () => StatusReport & { readonly againMs: number | undefined }
  readonly scheduler: Scheduler
  readonly random: Random
  readonly logger: Logger
}

/** A burst of ADDs is one patch: the controller needs the number soon, not each of its values. */
const spacingMs = 1000

/** Keeps what the agent writes into the NativePodNetwork's status true. Poked whenever something may have changed. */
export class StatusReporter {
  readonly worker: PokedWorker
  readonly #options: StatusReporterOptions

  constructor(options: StatusReporterOptions) {
    const { scheduler, random, logger } = options
    this.#options = options
    this.worker = new PokedWorker({
      name: 'status report',
      work: (signal) => this.#work(signal),
      spacingMs,
      backoff: { baseMs: 500, maxMs: 10_000 },
      scheduler,
      random,
      logger,
    })
  }

  async #work(signal: AbortSignal): Promise<Result<number | undefined, string>> {
    const { client, network, report } = this.#options
    const seen = network()
    if (seen === undefined) return ok(undefined)
    const patched = await this.#patch(seen, signal)
    if (patched !== 'conflict') return patched.ok ? ok(report().againMs) : patched
    // Somebody else wrote meanwhile: think again about what is there now.
    const fresh = await client.get(nativePodNetworks, { name: seen.metadata.name }, signal)
    if (!fresh.ok) return fresh.error.kind === 'notFound' ? ok(undefined) : err(formatApiError(fresh.error))
    const again = await this.#patch(fresh.value, signal)
    if (again === 'conflict') return err('the NativePodNetwork changes faster than it can be written')
    return again.ok ? ok(report().againMs) : again
  }

  async #patch(network: NativePodNetwork, signal: AbortSignal): Promise<Result<void, string> | 'conflict'> {
    const { client, report, logger } = this.#options
    const body = planReport(network, report())
    if (body === undefined) return ok(undefined)
    const { name } = network.metadata
    const patched = await client.patchStatus(nativePodNetworks, { name }, { type: 'merge', body }, signal)
    if (patched.ok) {
      logger.debug('kube.network.reported', { status: body['status'] })
      return ok(undefined)
    }
    const { error } = patched
    if (error.kind === 'conflict') return 'conflict'
    // Deleted: its successor, if there is one, comes by the watch.
    return error.kind === 'notFound' ? ok(undefined) : err(formatApiError(error))
  }
}
