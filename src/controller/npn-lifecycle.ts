import type { Logger } from '../base/logger.ts'
import type { ApiClient } from '../kube/api-client.ts'
import { formatApiError } from '../kube/api-error.ts'
import type { EventFacts } from '../kube/event-correlator.ts'
import type { NativePodNetwork } from '../kube/native-pod-network.ts'
import type { KubeNode } from '../kube/node.ts'
import { ownedBy, referenceTo } from '../kube/object-reference.ts'
import { nativePodNetworks, nodes } from '../kube/resources.ts'
import type { WorkOutcome } from '../kube/work-queue.ts'
import type { Instance, OciResult } from '../oci/core-services.ts'
import { adviseOnObservation } from './failure-advice.ts'
import type { NodeDefaults } from './node-wish.ts'
import { specFromMetadata } from './spec-from-metadata.ts'

export interface LifecycleOptions {
  readonly client: Pick<ApiClient, 'get' | 'create' | 'delete'>
  readonly defaults: NodeDefaults
  readonly record: (facts: EventFacts) => void
  readonly logger: Logger
}

/** Makes the resource of a node that has none, and removes that of an instance which is no more. */
export class NpnLifecycle {
  readonly #options: LifecycleOptions

  constructor(options: LifecycleOptions) {
    this.#options = options
  }

  async create(
    name: string,
    node: KubeNode,
    getInstance: (signal: AbortSignal) => OciResult<Instance>,
    signal: AbortSignal,
  ): Promise<WorkOutcome | { readonly kind: 'created'; readonly npn: NativePodNetwork }> {
    const { client, defaults, record, logger } = this.#options
    // The watch may be behind, and what is owned by a node that is gone goes at once.
    const present = await client.get(nodes, { name: node.metadata.name }, signal)
    if (!present.ok || present.value.metadata.uid !== node.metadata.uid) return { kind: 'retry' }
    const regarding = referenceTo(nodes, node)
    const instance = await getInstance(signal)
    if (!instance.ok) {
      const { reason, message } = adviseOnObservation({ during: 'GetInstance', error: instance.error })
      record({ regarding, type: 'Warning', reason, note: message })
      return { kind: 'retry' }
    }
    // A node of an instance that is going away needs no network any more.
    if (instance.value.lifecycleState.startsWith('TERMINAT')) return { kind: 'done' }
    const spec = specFromMetadata(instance.value, defaults)
    if (!spec.ok) {
      record({ regarding, type: 'Warning', reason: 'NoNativePodNetwork', note: spec.error })
      return { kind: 'retry', delayMs: 30_000 }
    }
    const metadata = { name, ownerReferences: [ownedBy(nodes, node)] }
    const created = await client.create(nativePodNetworks, { metadata, spec: spec.value }, signal)
    if (created.ok) {
      logger.info('npn.created', { npn: name, node: node.metadata.name })
      return { kind: 'created', npn: created.value }
    }
    // Made by somebody else, or by us before an answer was lost: the watch tells.
    if (created.error.kind === 'alreadyExists') return { kind: 'done' }
    logger.warn('npn.create.failed', { npn: name, error: formatApiError(created.error) })
    const isCrdMissing = created.error.kind === 'notFound'
    const remedy = isCrdMissing ? '; the CustomResourceDefinition is missing: apply deploy/crd.yaml' : ''
    const note = `NativePodNetwork ${name} could not be created: ${formatApiError(created.error)}${remedy}`
    record({ regarding, type: 'Warning', reason: isCrdMissing ? 'CrdMissing' : 'NoNativePodNetwork', note })
    return { kind: 'retry' }
  }

  async remove({ metadata }: NativePodNetwork, why: string, signal: AbortSignal): Promise<WorkOutcome> {
    const { client, logger } = this.#options
    const { name, uid } = metadata
    const deleted = await client.delete(nativePodNetworks, { name }, { uid }, signal)
    if (deleted.ok || deleted.error.kind === 'notFound') {
      logger.info('npn.deleted', { npn: name, why })
      return { kind: 'done' }
    }
    logger.warn('npn.delete.failed', { npn: name, error: formatApiError(deleted.error) })
    return { kind: 'retry' }
  }
}
