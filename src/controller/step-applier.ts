import { type Ipv4, ipv4ToNumber } from '../base/ip.ts'
import { err, ok, type Result } from '../base/result.ts'
import type { AttachVnic, CoreServices, CreatePrivateIp, PrivateIp, VnicAttachment } from '../oci/core-services.ts'
import type { OciError } from '../oci/oci-error.ts'
import type { CloudLookups } from './cloud-lookups.ts'
import type { RefusalMemory } from './known-limits.ts'
import type { NodeObserver } from './node-observer.ts'
import { blockPrefixLength, type Step } from './node-plan.ts'
import { addressesOf, type NodeObservation, type ObservedVnic } from './observation.ts'
import { ownerTags, vnicName } from './ownership.ts'
import { retryToken, type TokenGrounds } from './retry-token.ts'
import type { StepFailure } from './step-failure.ts'
import type { SubnetGates } from './subnet-gates.ts'
import type { SubnetSpaces } from './subnet-space.ts'

export interface ApplierOptions {
  readonly cluster: string
  readonly services: CoreServices
  readonly lookups: CloudLookups
  readonly gates: SubnetGates
  readonly spaces: SubnetSpaces
  readonly refusals: RefusalMemory
}

/** What is known of a node beside what its observer sees. */
export interface NodeHandle {
  readonly observer: NodeObserver
  /** Counts up when the cloud answers with something that is gone again. */
  tokenSalt: number
  /** Attached by this process, and not yet seen as ATTACHED. */
  pendingAttachment: VnicAttachment['id'] | undefined
}

type Applied = Result<void, StepFailure>

/** From so many objects on a refusal may be about the VNIC: 31 was the limit once (reference: OCI limits). */
const oldObjectLimit = 31
const mostSalts = 8

/** Carries out the steps of a plan. What the cloud refuses for lack of room is remembered, and planned around. */
export class StepApplier {
  readonly #options: ApplierOptions

  constructor(options: ApplierOptions) {
    this.#options = options
  }

  async apply(
    steps: readonly Step[],
    observed: NodeObservation,
    node: NodeHandle,
    signal: AbortSignal,
  ): Promise<readonly StepFailure[]> {
    const applied = await Promise.all(steps.map((step, index) => this.#apply(step, index, observed, node, signal)))
    return applied.flatMap((one) => (one.ok ? [] : [one.error]))
  }

  #apply(
    step: Step,
    index: number,
    observed: NodeObservation,
    node: NodeHandle,
    signal: AbortSignal,
  ): Promise<Applied> {
    switch (step.kind) {
      case 'awaitAttachment':
        return Promise.resolve(ok(undefined))
      case 'attach':
        return this.#attach(step, observed, node, signal)
      case 'updateVnic':
        return this.#updateVnic(step, node, signal)
      case 'createBlock':
        return this.#createBlock(step.vnic, index, observed, node, signal)
      case 'createAddresses':
        return this.#createAddresses(step, index, observed, node, signal)
      case 'delete':
        return this.#delete(step.object, node, signal)
    }
  }

  async #attach(
    { subnetId, wish, ordinal }: Extract<Step, { kind: 'attach' }>,
    { instance, attachmentIds }: NodeObservation,
    node: NodeHandle,
    signal: AbortSignal,
  ): Promise<Applied> {
    const { cluster, services, gates, refusals } = this.#options
    const allowed = await this.#checkNsgs(subnetId, wish.nsgIds, signal)
    if (!allowed.ok) return allowed
    const attach: AttachVnic = {
      instanceId: instance.id,
      subnetId,
      nsgIds: wish.nsgIds,
      displayName: wish.displayName ?? vnicName(ordinal),
      skipSourceDestCheck: wish.skipSourceDestCheck,
      tags: { ...wish.tags, ...ownerTags(cluster, instance.id) },
      ...(wish.nicIndex !== undefined && { nicIndex: wish.nicIndex }),
    }
    const attached = await this.#withToken(
      { wish: { attach }, seen: attachmentIds, index: 0 },
      node,
      // The VNIC's own address is one of the subnet's, too.
      (token) => gates.through(subnetId, 'address', () => services.attachVnic(attach, token, signal), signal),
      ({ id, lifecycleState }) => lifecycleState.startsWith('DETACH') || attachmentIds.includes(id),
    )
    if (attached.ok) {
      node.pendingAttachment = attached.value.id
      node.observer.learn((known) => withAttachment(known, attached.value))
      return ok(undefined)
    }
    // Whatever the reason: the instance is not what it was thought to be.
    node.observer.doubt()
    const { error } = attached
    // Somebody else's change of the instance: waited for like our own.
    if (error.kind === 'conflict') return ok(undefined)
    if (error.kind !== 'limitExceeded') return err({ kind: 'cloud', step: 'attach', error })
    if (await this.#isFull(subnetId, signal)) refusals.remember({ kind: 'noAddresses', id: subnetId })
    else refusals.remember({ kind: 'instanceFull', id: instance.id })
    return ok(undefined)
  }

  async #updateVnic(
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

  async #createBlock(
    vnic: ObservedVnic,
    index: number,
    { instance }: NodeObservation,
    node: NodeHandle,
    signal: AbortSignal,
  ): Promise<Applied> {
    const { cluster, refusals, spaces } = this.#options
    const privateIp = {
      vnicId: vnic.vnic.id,
      cidrPrefixLength: blockPrefixLength,
      tags: ownerTags(cluster, instance.id),
    }
    const created = await this.#create(privateIp, vnic, index, node, signal)
    if (created.ok) {
      await spaces.note(created.value)
      return ok(undefined)
    }
    if (created.error.kind !== 'limitExceeded') return this.#failed('createBlock', created.error, node)
    // The same answer for a VNIC and for a subnet without room; single addresses are tried next, and tell.
    if (vnic.objects.length >= oldObjectLimit) refusals.remember({ kind: 'vnicFull', id: vnic.vnic.id })
    else refusals.remember({ kind: 'noBlocks', id: vnic.subnet.id })
    return ok(undefined)
  }

  async #createAddresses(
    { vnic, count }: Extract<Step, { kind: 'createAddresses' }>,
    index: number,
    observed: NodeObservation,
    node: NodeHandle,
    signal: AbortSignal,
  ): Promise<Applied> {
    const { spaces, refusals } = this.#options
    const siblings = observed.vnics.filter((one) => one !== vnic && one.subnet.id === vnic.subnet.id)
    const wish = { own: vnic.objects.flatMap(addressesOf), siblings: siblings.flatMap(held), count }
    const reserved = await spaces.reserve(vnic.subnet, wish, signal)
    if (!reserved.ok) return this.#failed('createAddresses', reserved.error, node)
    if (reserved.value.length === 0) {
      refusals.remember({ kind: 'noAddresses', id: vnic.subnet.id })
      return ok(undefined)
    }
    const made = reserved.value.map((address) => this.#createAddress(address, vnic, index, observed, node, signal))
    return (await Promise.all(made)).find((one) => !one.ok) ?? ok(undefined)
  }

  async #createAddress(
    address: Ipv4,
    vnic: ObservedVnic,
    index: number,
    { instance }: NodeObservation,
    node: NodeHandle,
    signal: AbortSignal,
  ): Promise<Applied> {
    const { cluster, spaces, refusals } = this.#options
    const privateIp = { vnicId: vnic.vnic.id, address, tags: ownerTags(cluster, instance.id) }
    const created = await this.#create(privateIp, vnic, index, node, signal)
    if (created.ok) return ok(undefined)
    // Taken by somebody else: another one is chosen.
    if (created.error.kind === 'conflict' || created.error.kind === 'invalid') {
      spaces.refuse(address)
      return ok(undefined)
    }
    await spaces.release(vnic.subnet.id, [address])
    if (created.error.kind !== 'limitExceeded') return this.#failed('createAddresses', created.error, node)
    // The address was free, so it is the VNIC that has no room.
    refusals.remember({ kind: 'vnicFull', id: vnic.vnic.id })
    return ok(undefined)
  }

  async #create(
    privateIp: CreatePrivateIp,
    { vnic, subnet, objects }: ObservedVnic,
    index: number,
    node: NodeHandle,
    signal: AbortSignal,
  ): Promise<Result<PrivateIp, OciError>> {
    const { services, gates } = this.#options
    const seen = objects.map(({ id }) => id)
    const takes = privateIp.cidrPrefixLength === undefined ? 'address' : 'block'
    const created = await this.#withToken(
      { wish: { privateIp }, seen, index },
      node,
      (token) => gates.through(subnet.id, takes, () => services.createPrivateIp(privateIp, token, signal), signal),
      () => false,
    )
    if (created.ok) node.observer.learn((known) => withObject(known, vnic.id, created.value))
    return created
  }

  async #delete(object: PrivateIp, node: NodeHandle, signal: AbortSignal): Promise<Applied> {
    const { services, gates, spaces, refusals } = this.#options
    const call = (): ReturnType<CoreServices['deletePrivateIp']> => services.deletePrivateIp(object.id, signal)
    const deleted = await gates.through(object.subnetId, 'address', call, signal)
    if (!deleted.ok) {
      // Gone already, or not to be seen: the next look tells which.
      if (deleted.error.kind !== 'notFound') return this.#failed('delete', deleted.error, node)
      node.observer.doubt()
      return ok(undefined)
    }
    node.observer.learn((known) => withoutObject(known, object))
    await spaces.release(object.subnetId, addressesOf(object))
    refusals.forgetSubnet(object.subnetId)
    // A later create of the same address must not be answered with the one that was deleted just now.
    node.tokenSalt++
    return ok(undefined)
  }

  #failed(step: Step['kind'], error: OciError, { observer }: NodeHandle): Applied {
    observer.doubt()
    return err({ kind: 'cloud', step, error })
  }

  /** With the next token when the one at hand belongs to something that is gone. */
  async #withToken<T>(
    grounds: Omit<TokenGrounds, 'cluster' | 'salt'>,
    node: NodeHandle,
    create: (token: string) => Promise<Result<T, OciError>>,
    isGone: (made: T) => boolean,
  ): Promise<Result<T, OciError>> {
    for (let tries = 1; ; tries++) {
      const { cluster } = this.#options
      const made = await create(retryToken({ cluster, salt: node.tokenSalt, ...grounds }))
      const isUsedUp = made.ok ? isGone(made.value) : made.error.kind === 'retryTokenUsed'
      if (!isUsedUp || tries >= mostSalts) return made
      node.tokenSalt++
    }
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

  async #isFull(subnetId: ObservedVnic['subnet']['id'], signal: AbortSignal): Promise<boolean> {
    const used = await this.#options.services.listSubnetCidrUtilisation(subnetId, signal)
    return used.ok && used.value.every(({ usedPercent }) => usedPercent >= 100)
  }
}

function held({ vnic, objects }: ObservedVnic): readonly Ipv4[] {
  return [...(vnic.privateIp === undefined ? [] : [vnic.privateIp]), ...objects.flatMap(addressesOf)]
}

function withAttachment(known: NodeObservation, attachment: VnicAttachment): NodeObservation {
  const attachments = [...known.attachments.filter(({ id }) => id !== attachment.id), attachment]
  return { ...known, attachments, attachmentIds: [...new Set([...known.attachmentIds, attachment.id])] }
}

function withObject(known: NodeObservation, vnicId: string, object: PrivateIp): NodeObservation {
  return replaceVnic(known, vnicId, (one) => ({
    ...one,
    objects: [...one.objects.filter(({ id }) => id !== object.id), object].toSorted(byAddress),
  }))
}

function withoutObject(known: NodeObservation, object: PrivateIp): NodeObservation {
  const vnics = known.vnics.map((one) => ({ ...one, objects: one.objects.filter(({ id }) => id !== object.id) }))
  return { ...known, vnics }
}

function replaceVnic(
  known: NodeObservation,
  vnicId: string,
  change: (vnic: ObservedVnic) => ObservedVnic,
): NodeObservation {
  return { ...known, vnics: known.vnics.map((one) => (one.vnic.id === vnicId ? change(one) : one)) }
}

function byAddress(a: PrivateIp, b: PrivateIp): number {
  return ipv4ToNumber(a.cidr.address) - ipv4ToNumber(b.cidr.address)
}
