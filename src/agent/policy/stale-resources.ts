import type { Logger } from '../../base/logger.ts'
import { formatApiError } from '../../kube/api-error.ts'
import type { ReflectorHealth } from '../../kube/reflector-health.ts'
import type { Scheduler } from '../../kube/scheduler.ts'

/** A resource that is followed, and how that goes. */
export interface FollowedResource {
  readonly plural: string
  readonly health: ReflectorHealth
}

export interface StaleResourcesOptions {
  readonly pods: FollowedResource
  /** What says who may talk to a pod. */
  readonly rules: readonly FollowedResource[]
  readonly scheduler: Pick<Scheduler, 'nowMs'>
  readonly logger: Logger
}

/** Shorter than this is a restart of the API server. */
const graceMs = 30_000

/**
 * Resources that were listed once and are not heard of any more: a right was taken away, or the API server is gone. What they
 * said last stays in force, and people are told.
 */
export class StaleResources {
  readonly #options: StaleResourcesOptions
  #told: ReadonlySet<string> = new Set()

  constructor(options: StaleResourcesOptions) {
    this.#options = options
  }

  /** In words, one for each. */
  get problems(): readonly string[] {
    const { pods, rules } = this.#options
    return [pods, ...rules].filter((one) => this.#isStale(one)).map(describe)
  }

  /**
   * What is not known of a pod that came meanwhile: pods are heard of and rules are not. Where nothing is heard of anything, the
   * API server is away, and pods that are known can have their network.
   */
  get outdated(): string | undefined {
    const { pods, rules } = this.#options
    if (pods.health.failingSinceMs !== undefined) return undefined
    const { lastEventMs: podsHeardMs = 0 } = pods.health
    // A connection that died in silence is noticed by one watch minutes before the other.
    const outdated = rules.find((one) => this.#isStale(one) && podsHeardMs > (one.health.failingSinceMs ?? Infinity))
    return outdated && describe(outdated)
  }

  /** Logs what changed since the last call. */
  tell(): void {
    const { pods, rules, logger } = this.#options
    const stale = [pods, ...rules].filter((one) => this.#isStale(one))
    const names = new Set(stale.map(({ plural }) => plural))
    for (const one of stale) {
      if (!this.#told.has(one.plural)) logger.error('policy.stale', { resource: one.plural, problem: describe(one) })
    }
    for (const plural of this.#told) if (!names.has(plural)) logger.info('policy.stale.gone', { resource: plural })
    this.#told = names
  }

  #isStale({ health }: FollowedResource): boolean {
    const { synced, watching, failingSinceMs } = health
    if (!synced || watching || failingSinceMs === undefined) return false
    return this.#options.scheduler.nowMs() - failingSinceMs > graceMs
  }
}

function describe({ plural, health: { lastEventMs = 0, lastError } }: FollowedResource): string {
  const since = new Date(lastEventMs).toISOString()
  const because = lastError === undefined ? '' : `: ${formatApiError(lastError.error)}`
  return `${plural} are not heard of since ${since}${because}; what is in force is of then`
}
