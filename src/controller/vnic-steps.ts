import { err, ok } from '../base/result.ts'
import type { AttachVnic } from '../oci/core-services.ts'
import { replaceVnic, withAttachment } from './learning.ts'
import type { NodeHandle } from './node-handle.ts'
import type { Step } from './node-plan.ts'
import type { NodeObservation, ObservedVnic } from './observation.ts'
import { ownerTags, vnicName } from './ownership.ts'
import { createWithToken } from './retry-token.ts'
import type { Applied, StepResources } from './step-resources.ts'

/** Attaching a VNIC, and putting one right that is not as it was wished for. */
export class VnicSteps {
  readonly #options: StepResources

  constructor(resources: StepResources) {
    this.#options = resources
  }

  async attach(
    { subnetId, wish, ordinal }: Extract<Step, { kind: 'attach' }>,
    observed: NodeObservation,
    node: NodeHandle,
    signal: AbortSignal,
  ): Promise<Applied> {
    const { instance, attachmentIds } = observed
    const { cluster, services, gates, refusals } = this.#options
    const allowed = await this.#checkNsgs(subnetId, wish.nsgIds, signal)
    if (!allowed.ok) return allowed
    if (isLast(observed) && wish.subnetIds.length > 1 && !(await this.#hasRoomForPods(subnetId, signal))) {
      refusals.remember({ kind: 'noAddresses', id: subnetId })
      return ok(undefined)
    }
    const attach: AttachVnic = {
      instanceId: instance.id,
      subnetId,
      nsgIds: wish.nsgIds,
      displayName: wish.displayName ?? vnicName(ordinal),
      attachmentName: vnicName(ordinal),
      skipSourceDestCheck: wish.skipSourceDestCheck,
      tags: { ...wish.tags, ...ownerTags(cluster, instance.id) },
      ...(wish.nicIndex !== undefined && { nicIndex: wish.nicIndex }),
    }
    const attached = await createWithToken(
      { cluster, wish: { attach }, seen: attachmentIds, index: 0 },
      node,
      // The VNIC's own address is one of the subnet's, too.
      (token) => gates.through(subnetId, 'address', () => services.attachVnic(attach, token, signal), signal),
      ({ id, lifecycleState }) => lifecycleState.startsWith('DETACH') || attachmentIds.includes(id),
    )
    if (attached.ok) {
      node.pendingAttachment = attached.value.id
      // One that is further already is the answer to a repeat: its VNIC is there, and has to be looked at.
      if (attached.value.lifecycleState === 'ATTACHING') {
        node.observer.learn((known) => withAttachment(known, attached.value))
      } else node.observer.doubt()
      return ok(undefined)
    }
    // Whatever the reason: the instance is not what it was thought to be.
    node.observer.doubt()
    const { error } = attached
    if (error.kind !== 'limitExceeded') return err({ kind: 'cloud', step: 'attach', error })
    if (await this.#isFull(subnetId, signal)) refusals.remember({ kind: 'noAddresses', id: subnetId })
    else refusals.remember({ kind: 'instanceFull', id: instance.id })
    return ok(undefined)
  }

  async updateVnic(
    { vnic: { vnic, subnet }, wish }: Extract<Step, { kind: 'updateVnic' }>,
    { observer }: NodeHandle,
    signal: AbortSignal,
  ): Promise<Applied> {
    const allowed = await this.#checkNsgs(subnet.id, wish.nsgIds, signal)
    if (!allowed.ok) return allowed
    const { nsgIds, skipSourceDestCheck } = wish
    const change = { nsgIds, skipSourceDestCheck, ...(vnic.etag !== undefined && { ifMatch: vnic.etag }) }
    const updated = await this.#options.services.updateVnic(vnic.id, change, signal)
    if (!updated.ok) {
      observer.doubt()
      return err({ kind: 'cloud', step: 'updateVnic', error: updated.error })
    }
    observer.learn((known) => replaceVnic(known, vnic.id, (one) => ({ ...one, vnic: updated.value })))
    const missing = nsgIds.filter((id) => !updated.value.nsgIds.includes(id))
    return missing.length === 0 ? ok(undefined) : err({ kind: 'nsgsNotAttached', vnicId: vnic.id, missing })
  }

  async #checkNsgs(
    subnetId: ObservedVnic['subnet']['id'],
    nsgIds: ObservedVnic['vnic']['nsgIds'],
    signal: AbortSignal,
  ): Promise<Applied> {
    const { lookups } = this.#options
    const subnet = await lookups.subnet(subnetId, signal)
    if (!subnet.ok) return err({ kind: 'cloud', step: 'attach', error: subnet.error })
    for (const nsgId of nsgIds) {
      const nsg = await lookups.nsg(nsgId, signal)
      if (!nsg.ok) return err({ kind: 'cloud', step: 'attach', error: nsg.error })
      const { vcnId } = nsg.value
      if (vcnId === subnet.value.vcnId) continue
      return err({ kind: 'nsgInOtherVcn', nsgId, nsgVcnId: vcnId, subnetId, subnetVcnId: subnet.value.vcnId })
    }
    return ok(undefined)
  }

  /** A VNIC takes an address itself: the last one of an instance would be wasted on a subnet that has no other. */
  async #hasRoomForPods(subnetId: ObservedVnic['subnet']['id'], signal: AbortSignal): Promise<boolean> {
    const { lookups, spaces } = this.#options
    const subnet = await lookups.subnet(subnetId, signal)
    if (!subnet.ok) return true
    const wish = { cidrs: subnet.value.ipv4Cidrs, own: [], siblings: [], count: 2 }
    const free = await spaces.reserve(subnetId, wish, signal)
    if (!free.ok) return true
    await spaces.release(subnetId, free.value)
    return free.value.length === 2
  }

  async #isFull(subnetId: ObservedVnic['subnet']['id'], signal: AbortSignal): Promise<boolean> {
    const used = await this.#options.services.listSubnetCidrUtilisation(subnetId, signal)
    return used.ok && used.value.every(({ usedPercent }) => usedPercent >= 100)
  }
}

function isLast({ attachments, vnicLimit = Infinity }: NodeObservation): boolean {
  return attachments.length + 1 >= vnicLimit
}
