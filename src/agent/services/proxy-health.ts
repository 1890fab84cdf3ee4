import type { Scheduler } from '../../kube/scheduler.ts'

/**
 * Since when the kernel has not what the API server told. Twice kube-proxy's sync period of 30 s: so long a change may wait
 * before its proxy is called unhealthy (cmd/kube-proxy/app/server.go, NewProxyHealthServer).
 */
const toleranceMs = 60_000

/** The autoscaler's word that the machine will be gone soon (cluster-autoscaler, utils/taints). */
const toBeDeletedTaint = 'ToBeDeletedByClusterAutoscaler'

/** What kube-proxy's health answers hold, times in RFC 3339 (pkg/proxy/healthcheck/proxy_health.go). */
export interface HealthView {
  readonly lastUpdated: string
  readonly currentTime: string
  readonly healthy: boolean
}

/** Go's zero time: never. */
const never = '0001-01-01T00:00:00Z'

/** Whether changes reach the kernel in time. An API server that is away tells of no change, and makes nobody unhealthy. */
export class ProxyHealth {
  readonly #scheduler: Scheduler
  /** Monotonic. */
  #pendingSinceMs: number | undefined
  #lastUpdatedMs: number | undefined

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler
  }

  /** Wall clock of the last time that the kernel had all that was told. */
  get lastUpdatedMs(): number | undefined {
    return this.#lastUpdatedMs
  }

  get isHealthy(): boolean {
    const since = this.#pendingSinceMs
    return since === undefined || this.#scheduler.monotonicMs() - since < toleranceMs
  }

  /** There is a change that the kernel has not got yet. */
  queued(): void {
    this.#pendingSinceMs ??= this.#scheduler.monotonicMs()
  }

  updated(): void {
    this.#pendingSinceMs = undefined
    this.#lastUpdatedMs = this.#scheduler.nowMs()
  }

  /** kube-proxy says «updated just now» as long as nothing is late; load balancers’ checks were made for that. */
  view(isHealthy: boolean): HealthView {
    const now = new Date(this.#scheduler.nowMs()).toISOString()
    const last = this.#lastUpdatedMs === undefined ? never : new Date(this.#lastUpdatedMs).toISOString()
    return { lastUpdated: isHealthy ? now : last, currentTime: now, healthy: this.isHealthy }
  }
}

/** Whether load balancers may send new connections to the node; not while it goes away, or when there is no Node. */
export function isEligible(
  node:
    | {
        readonly metadata: { readonly deletionTimestamp?: string }
        readonly taints: readonly { readonly key: string }[]
      }
    | undefined,
): boolean {
  if (node === undefined || node.metadata.deletionTimestamp !== undefined) return false
  return !node.taints.some(({ key }) => key === toBeDeletedTaint)
}
