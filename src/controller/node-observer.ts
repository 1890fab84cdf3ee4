import type { Clock } from '../base/clock.ts'
import { err, ok, type Result } from '../base/result.ts'
import type { CloudVnic, CoreServices, Instance, OciResult, PrivateIp, VnicAttachment } from '../oci/core-services.ts'
import type { OciError } from '../oci/oci-error.ts'
import type { InstanceOcid, VnicAttachmentOcid, VnicOcid } from '../oci/ocid.ts'
import { vnicLimit } from '../oci/vnic-limit.ts'
import type { AttachmentLister } from './attachment-lister.ts'
import type { CloudLookups } from './cloud-lookups.ts'
import type { InstanceFinder } from './instance-finder.ts'
import type { NodeObservation, ObservedVnic } from './observation.ts'
import { isNamedByUs, isOurs } from './ownership.ts'

export interface ObserverOptions {
  readonly cluster: string
  readonly services: CoreServices
  readonly lookups: CloudLookups
  readonly instances: Pick<InstanceFinder, 'find'>
  readonly attachments: AttachmentLister
  readonly clock: Clock
  /** How old the instance and its VNICs may be before they are asked for again. */
  readonly resyncMs: number
}

export interface ObservationFailure {
  readonly during: 'GetInstance' | 'ListVnicAttachments' | 'GetVnic' | 'GetSubnet' | 'ListPrivateIps' | 'ListShapes'
  readonly error: OciError
}

interface Known {
  readonly observed: NodeObservation
  readonly atMs: number
}

/**
 * Looks at one node's resources in the cloud, and keeps what it saw: between two full looks only what may have changed
 * by our own doing is asked for again. Whoever changes something tells it.
 */
export class NodeObserver {
  readonly #options: ObserverOptions
  readonly #instanceId: InstanceOcid
  #known: Known | undefined
  #instance: Instance | undefined
  #isDoubtful = false
  // Attachments that are not ours: the primary VNIC's, and what others attached. That never changes.
  readonly #foreign = new Set<VnicAttachmentOcid>()

  constructor(instanceId: InstanceOcid, options: ObserverOptions) {
    this.#instanceId = instanceId
    this.#options = options
  }

  /** Something happened that this process did not do, or whose outcome is not known. */
  doubt(): void {
    this.#isDoubtful = true
    this.#instance = undefined
  }

  /** Only the instance; the next `observe` needs not ask for it again. */
  async instance(signal: AbortSignal): OciResult<Instance> {
    const instance = await this.#options.instances.find(this.#instanceId, signal)
    this.#instance = instance.ok && instance.value.lifecycleState === 'RUNNING' ? instance.value : undefined
    return instance
  }

  /** What was created or deleted by the holder of this observer. */
  learn(change: (observed: NodeObservation) => NodeObservation): void {
    if (this.#known !== undefined) this.#known = { ...this.#known, observed: change(this.#known.observed) }
  }

  async observe(signal: AbortSignal): Promise<Result<NodeObservation, ObservationFailure>> {
    const nowMs = this.#options.clock.monotonicMs()
    const known = this.#known
    const isOld = known === undefined || nowMs - known.atMs >= this.#options.resyncMs
    if (!isOld && !this.#isDoubtful && isSettled(known.observed)) return ok(known.observed)
    const isFull = isOld || this.#isDoubtful
    const observed = await this.#look(isFull ? undefined : known.observed, signal)
    if (!observed.ok) return observed
    this.#known = { observed: observed.value, atMs: isFull ? nowMs : known.atMs }
    this.#isDoubtful = false
    return observed
  }

  async #look(
    previous: NodeObservation | undefined,
    signal: AbortSignal,
  ): Promise<Result<NodeObservation, ObservationFailure>> {
    const { instances, attachments: lister } = this.#options
    const running = previous?.instance.lifecycleState === 'RUNNING' ? previous.instance : this.#instance
    this.#instance = undefined
    const instance = await during('GetInstance', known(running) ?? instances.find(this.#instanceId, signal))
    if (!instance.ok) return instance
    const limit = await this.#limit(instance.value, signal)
    if (!limit.ok) return limit
    const { compartmentId, id } = instance.value
    const listed = await during('ListVnicAttachments', lister.list(compartmentId, id, signal))
    if (!listed.ok) return listed
    const attachments = listed.value.filter(({ lifecycleState }) => lifecycleState !== 'DETACHED')
    // Every instance has its primary VNIC: when there is one attachment, that is it.
    if (listed.value.length === 1) for (const { id: only } of attachments) this.#foreign.add(only)
    const vnics: ObservedVnic[] = []
    for (const attachment of attachments) {
      const vnic = await this.#vnic(attachment, previous, signal)
      if (!vnic.ok) return vnic
      if (vnic.value !== undefined) vnics.push(vnic.value)
    }
    return ok({
      instance: instance.value,
      attachments,
      attachmentIds: listed.value.map(({ id: attachmentId }) => attachmentId),
      vnics,
      ...(limit.value !== undefined && { vnicLimit: limit.value }),
    })
  }

  // Only when the instance does not say itself.
  async #limit(instance: Instance, signal: AbortSignal): Promise<Result<number | undefined, ObservationFailure>> {
    if (instance.shapeConfig.maxVnicAttachments !== undefined) return ok(vnicLimit(instance, undefined))
    const shape = await during('ListShapes', this.#options.lookups.shapeOf(instance, signal))
    return shape.ok ? ok(vnicLimit(instance, shape.value)) : shape
  }

  async #vnic(
    attachment: VnicAttachment,
    previous: NodeObservation | undefined,
    signal: AbortSignal,
  ): Promise<Result<ObservedVnic | undefined, ObservationFailure>> {
    const { vnicId, lifecycleState, id } = attachment
    if (lifecycleState !== 'ATTACHED' || vnicId === undefined || this.#foreign.has(id)) return ok(undefined)
    const before = previous?.vnics.find(({ vnic }) => vnic.id === vnicId)
    if (before?.vnic.lifecycleState === 'AVAILABLE') return ok({ ...before, attachment })
    const vnic = await during('GetVnic', this.#options.services.getVnic(vnicId, signal))
    // Somebody else's that may not be read is no reason to leave the node alone.
    if (!vnic.ok) return vnic.error.error.kind === 'notFound' && !isNamedByUs(attachment) ? ok(undefined) : vnic
    if (!isOurs(vnic.value, this.#options.cluster, this.#instanceId)) {
      this.#foreign.add(id)
      return ok(undefined)
    }
    // What was seen being attached has its own address only, and nobody but us gives it more.
    const isNew = previous?.attachments.some((one) => one.id === id && one.lifecycleState === 'ATTACHING') === true
    return this.#details(attachment, vnic.value, isNew, signal)
  }

  async #details(
    attachment: VnicAttachment,
    vnic: CloudVnic,
    isNew: boolean,
    signal: AbortSignal,
  ): Promise<Result<ObservedVnic | undefined, ObservationFailure>> {
    const { lookups } = this.#options
    const subnetId = vnic.subnetId ?? attachment.subnetId
    // Not told yet: the VNIC is being made.
    if (subnetId === undefined || vnic.mac === undefined) return ok(undefined)
    const subnet = await during('GetSubnet', lookups.subnet(subnetId, signal))
    if (!subnet.ok) return subnet
    const objects = isNew ? ok([]) : await during('ListPrivateIps', this.#objects(vnic.id, signal))
    if (!objects.ok) return objects
    const own = objects.value.filter((one) => isOurs(one, this.#options.cluster, this.#instanceId))
    const foreignObjects = objects.value.length - own.length
    return ok({ attachment, vnic, subnet: subnet.value, objects: own, foreignObjects })
  }

  async #objects(vnicId: VnicOcid, signal: AbortSignal): OciResult<readonly PrivateIp[]> {
    const listed = await this.#options.services.listPrivateIps({ vnicId }, signal)
    return listed.ok ? ok(listed.value.filter(({ isPrimary }) => !isPrimary)) : listed
  }
}

/** Nothing in it is about to change by itself. */
function isSettled({ instance, attachments, vnics }: NodeObservation): boolean {
  return (
    instance.lifecycleState === 'RUNNING' &&
    attachments.every(({ lifecycleState }) => lifecycleState === 'ATTACHED') &&
    vnics.every(({ vnic }) => vnic.lifecycleState === 'AVAILABLE')
  )
}

function known<T>(value: T | undefined): OciResult<T> | undefined {
  return value === undefined ? undefined : Promise.resolve(ok(value))
}

async function during<T>(
  what: ObservationFailure['during'],
  answer: OciResult<T>,
): Promise<Result<T, ObservationFailure>> {
  const result = await answer
  return result.ok ? result : err({ during: what, error: result.error })
}
