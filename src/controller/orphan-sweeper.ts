import type { Clock } from '../base/clock.ts'
import type { Logger } from '../base/logger.ts'
import type { ObjectCache } from '../kube/cache.ts'
import type { NativePodNetwork } from '../kube/native-pod-network.ts'
import type { KubeNode } from '../kube/node.ts'
import type { CloudVnic, CoreServices, VnicAttachment } from '../oci/core-services.ts'
import { formatOciError } from '../oci/oci-error.ts'
import type { CompartmentOcid, VnicAttachmentOcid } from '../oci/ocid.ts'
import type { OrphanSettings } from './config.ts'
import { instanceOf } from './node-demand.ts'
import { isOfCluster } from './ownership.ts'

export interface SweeperOptions {
  readonly cluster: string
  readonly settings: OrphanSettings
  readonly services: CoreServices
  readonly npns: ObjectCache<NativePodNetwork>
  readonly nodes: ObjectCache<KubeNode>
  readonly clock: Clock
  readonly logger: Logger
}

/** A VNIC of this cluster on an instance that has neither a Node nor a NativePodNetwork. */
export interface Orphan {
  readonly attachment: VnicAttachment
  readonly vnic: CloudVnic
  readonly sinceMs: number
}

/**
 * Finds VNICs, and with them their addresses, that nobody owns any more. Only ones with this cluster's tag are
 * looked at further, and only those that stayed without an owner for the time of grace are detached: a node that
 * registers anew must find its VNICs. (What a terminated instance had goes with it: that is the cloud's own doing.)
 */
export class OrphanSweeper {
  readonly #options: SweeperOptions
  readonly #compartments = new Set<CompartmentOcid>()
  readonly #since = new Map<VnicAttachmentOcid, number>()
  // The VNIC of an attachment stays, and so do its tags as far as we are concerned.
  readonly #foreign = new Set<VnicAttachmentOcid>()

  constructor(options: SweeperOptions) {
    this.#options = options
  }

  /** Where the cluster's instances are. */
  notice(compartmentId: CompartmentOcid): void {
    this.#compartments.add(compartmentId)
  }

  /** One look at everything; those that are over their time of grace are detached when the settings say so. */
  async sweep(signal: AbortSignal): Promise<readonly Orphan[]> {
    const { clock, settings, logger, services } = this.#options
    const orphans = await this.#find(signal)
    // It may be the owner: cloud controller managers fill in the providerID some time after a node registers.
    const nodes = [...this.#options.nodes.snapshot().objects.values()]
    const unnamed = nodes.find((node) => instanceOf(node) === undefined)?.metadata.name
    const present = new Set(orphans.map(({ attachment }) => attachment.id))
    for (const id of this.#since.keys()) if (!present.has(id)) this.#since.delete(id)
    for (const { attachment, vnic, sinceMs } of orphans) {
      const fields = { vnicId: vnic.id, instanceId: attachment.instanceId, address: vnic.privateIp }
      const isOver = clock.monotonicMs() - sinceMs >= settings.graceMs
      if (!isOver || !settings.detach || unnamed !== undefined) {
        logger.warn('orphan.found', { ...fields, detach: settings.detach, nodeWithoutInstance: unnamed })
        continue
      }
      const detached = await services.detachVnic(attachment.id, signal)
      if (detached.ok) logger.warn('orphan.detached', fields)
      else logger.error('orphan.kept', { ...fields, error: formatOciError(detached.error) })
    }
    return orphans
  }

  async #find(signal: AbortSignal): Promise<readonly Orphan[]> {
    const { services, clock, logger } = this.#options
    const owned = this.#ownedInstances()
    const orphans: Orphan[] = []
    for (const compartmentId of this.#compartments) {
      const listed = await services.listVnicAttachments({ compartmentId }, signal)
      if (!listed.ok) {
        logger.warn('orphan.sweep.failed', { compartmentId, error: formatOciError(listed.error) })
        continue
      }
      for (const attachment of listed.value) {
        if (attachment.lifecycleState !== 'ATTACHED' || owned.has(attachment.instanceId)) continue
        const vnic = await this.#vnicOfCluster(attachment, signal)
        if (vnic === undefined) continue
        const sinceMs = this.#since.get(attachment.id) ?? clock.monotonicMs()
        this.#since.set(attachment.id, sinceMs)
        orphans.push({ attachment, vnic, sinceMs })
      }
    }
    return orphans
  }

  async #vnicOfCluster({ id, vnicId }: VnicAttachment, signal: AbortSignal): Promise<CloudVnic | undefined> {
    if (vnicId === undefined || this.#foreign.has(id)) return undefined
    const vnic = await this.#options.services.getVnic(vnicId, signal)
    if (!vnic.ok) return undefined
    // The primary VNIC is its instance's, whatever somebody has written on it.
    if (!vnic.value.isPrimary && isOfCluster(vnic.value, this.#options.cluster)) return vnic.value
    this.#foreign.add(id)
    return undefined
  }

  #ownedInstances(): ReadonlySet<string> {
    const { npns, nodes } = this.#options
    const byResource = [...npns.snapshot().objects.values()].flatMap(({ spec }) =>
      spec.ok ? [spec.value.instanceId] : [],
    )
    const byNode = [...nodes.snapshot().objects.values()].flatMap((node) => instanceOf(node) ?? [])
    return new Set([...byResource, ...byNode])
  }
}
