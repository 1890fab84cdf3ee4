import type { Logger } from '../../base/logger.ts'
import { err, ok, type Result } from '../../base/result.ts'
import type { ApiClient } from '../../kube/api-client.ts'
import { formatApiError } from '../../kube/api-error.ts'
import type { KubeNode } from '../../kube/node.ts'
import { nodes } from '../../kube/resources.ts'
import type { Random, Scheduler } from '../../kube/scheduler.ts'
import { notReadyTaintKey, planNetworkCondition, planTaintRemoval } from './node-readiness.ts'
import { PokedWorker } from './poked-worker.ts'

export interface NodeAdmissionOptions {
  readonly client: Pick<ApiClient, 'get' | 'patch' | 'patchStatus'>
  /** As last seen. */
  readonly node: () => KubeNode | undefined
  /** Whether the next pod would get its network. */
  readonly isReadyForPods: () => boolean
  readonly scheduler: Scheduler
  readonly random: Random
  readonly logger: Logger
}

/** Lets pods onto the node once they get a network there. Never keeps them off again: a passing fault is no reason. */
export class NodeAdmission {
  readonly worker: PokedWorker
  readonly #options: NodeAdmissionOptions

  constructor(options: NodeAdmissionOptions) {
    const { scheduler, random, logger } = options
    this.#options = options
    this.worker = new PokedWorker({
      name: 'node admission',
      work: (signal) => this.#work(signal),
      spacingMs: 200,
      backoff: { baseMs: 500, maxMs: 10_000 },
      scheduler,
      random,
      logger,
    })
  }

  async #work(signal: AbortSignal): Promise<Result<undefined, string>> {
    const { client, node, isReadyForPods } = this.#options
    const seen = node()
    if (seen === undefined || !isHeldBack(seen) || !isReadyForPods()) return ok(undefined)
    // What was seen may be old after a failed patch: positions in its list of taints are only good when it is new.
    const fresh = await client.get(nodes, { name: seen.metadata.name }, signal)
    if (!fresh.ok) return fresh.error.kind === 'notFound' ? ok(undefined) : err(formatApiError(fresh.error))
    const condition = await this.#setCondition(fresh.value, signal)
    return condition.ok ? await this.#removeTaint(fresh.value, signal) : condition
  }

  async #setCondition(
    { metadata: { name }, conditions }: KubeNode,
    signal: AbortSignal,
  ): Promise<Result<undefined, string>> {
    const { client, scheduler, logger } = this.#options
    const body = planNetworkCondition({ conditions }, scheduler.nowMs())
    if (body === undefined) return ok(undefined)
    const patched = await client.patchStatus(nodes, { name }, { type: 'strategic', body }, signal)
    if (!patched.ok) return err(formatApiError(patched.error))
    logger.info('kube.node.networkAvailable', { node: name })
    return ok(undefined)
  }

  async #removeTaint(
    { metadata: { name }, taints }: KubeNode,
    signal: AbortSignal,
  ): Promise<Result<undefined, string>> {
    const { client, logger } = this.#options
    const operations = planTaintRemoval({ taints })
    if (operations.length === 0) return ok(undefined)
    const patched = await client.patch(nodes, { name }, { type: 'json', operations }, signal)
    if (!patched.ok) return err(formatApiError(patched.error))
    logger.info('kube.node.untainted', { node: name, taint: notReadyTaintKey })
    return ok(undefined)
  }
}

function isHeldBack(node: KubeNode): boolean {
  return planTaintRemoval(node).length > 0 || planNetworkCondition(node, 0) !== undefined
}
