import { cidrContains, type Ipv4Cidr } from '../base/cidr.ts'
import type { Ipv4 } from '../base/ip.ts'
import { err, ok, type Result } from '../base/result.ts'
import type { CoreServices, CreatePrivateIp, PrivateIp } from '../oci/core-services.ts'
import type { OciError } from '../oci/oci-error.ts'
import { withObject, withoutObject } from './learning.ts'
import type { NodeHandle } from './node-handle.ts'
import { blockPrefixLength, type Step } from './node-plan.ts'
import { addressesOf, type NodeObservation, type ObservedVnic } from './observation.ts'
import { ownerTags } from './ownership.ts'
import { createWithToken } from './retry-token.ts'
import type { Applied, StepResources } from './step-resources.ts'

/** From so many objects on a refusal may be about the VNIC: 31 was the limit once (reference: OCI limits). */
const oldObjectLimit = 31

type AddressOutcome =
  | { readonly kind: 'created' | 'noRoom' }
  | { readonly kind: 'refused'; readonly error: OciError }
  | { readonly kind: 'failed'; readonly error: OciError }

/** Giving a VNIC addresses, and taking them back. What the cloud has no room for is remembered, and planned around. */
export class AddressSteps {
  readonly #options: StepResources

  constructor(resources: StepResources) {
    this.#options = resources
  }

  async createBlock(
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

  async createAddresses(
    { vnic, count }: Extract<Step, { kind: 'createAddresses' }>,
    index: number,
    observed: NodeObservation,
    node: NodeHandle,
    signal: AbortSignal,
  ): Promise<Applied> {
    const { spaces, refusals } = this.#options
    const siblings = observed.vnics.filter((one) => one !== vnic && one.subnet.id === vnic.subnet.id)
    const choice = { own: vnic.objects.flatMap(addressesOf), siblings: siblings.flatMap(held), count }
    const reserved = await spaces.reserve(vnic.subnet.id, { cidrs: ownCidrs(vnic), ...choice }, signal)
    if (!reserved.ok) return this.#failed('createAddresses', reserved.error, node)
    if (reserved.value.length === 0) {
      refusals.remember({ kind: 'noAddresses', id: vnic.subnet.id })
      return ok(undefined)
    }
    const made = reserved.value.map((address) => this.#createAddress(address, vnic, index, observed, node, signal))
    const results = await Promise.all(made)
    const failed = results.find((one) => one.kind === 'failed')
    if (failed !== undefined) return this.#failed('createAddresses', failed.error, node)
    // All of them taken by somebody else: the list is old, or it is not the addresses that are refused.
    const refused = results.filter((one) => one.kind === 'refused')
    const [first] = refused
    if (first === undefined || refused.length < results.length) return ok(undefined)
    return this.#failed('createAddresses', first.error, node)
  }

  async #createAddress(
    address: Ipv4,
    vnic: ObservedVnic,
    index: number,
    { instance }: NodeObservation,
    node: NodeHandle,
    signal: AbortSignal,
  ): Promise<AddressOutcome> {
    const { cluster, spaces, refusals } = this.#options
    const privateIp = { vnicId: vnic.vnic.id, address, tags: ownerTags(cluster, instance.id) }
    const created = await this.#create(privateIp, vnic, index, node, signal)
    if (created.ok) return { kind: 'created' }
    const { error } = created
    // Taken by somebody else: another one is chosen.
    if (error.kind === 'conflict' || error.kind === 'invalid') {
      spaces.refuse(address)
      return { kind: 'refused', error }
    }
    await spaces.release(vnic.subnet.id, [address])
    // The address was free, so it is the VNIC that has no room; an empty one has, so it is a limit of the service.
    if (error.kind !== 'limitExceeded' || vnic.objects.length === 0) return { kind: 'failed', error }
    refusals.remember({ kind: 'vnicFull', id: vnic.vnic.id })
    return { kind: 'noRoom' }
  }

  async #create(
    privateIp: CreatePrivateIp,
    { vnic, subnet, objects }: ObservedVnic,
    index: number,
    node: NodeHandle,
    signal: AbortSignal,
  ): Promise<Result<PrivateIp, OciError>> {
    const { cluster, services, gates } = this.#options
    const seen = objects.map(({ id }) => id)
    const takes = privateIp.cidrPrefixLength === undefined ? 'address' : 'block'
    const created = await createWithToken(
      { cluster, wish: { privateIp }, seen, index },
      node,
      (token) => gates.through(subnet.id, takes, () => services.createPrivateIp(privateIp, token, signal), signal),
      () => false,
    )
    if (created.ok) node.observer.learn((known) => withObject(known, vnic.id, created.value))
    return created
  }

  async delete(object: PrivateIp, node: NodeHandle, signal: AbortSignal): Promise<Applied> {
    const { services, gates, spaces, refusals } = this.#options
    const call = (): ReturnType<CoreServices['deletePrivateIp']> => services.deletePrivateIp(object.id, signal)
    const deleted = await gates.through(object.subnetId, 'address', call, signal)
    if (!deleted.ok) {
      const isFirst404 = deleted.error.kind === 'notFound' && !node.notFound.has(object.id)
      if (!isFirst404) return this.#failed('delete', deleted.error, node)
      // Gone already, or not to be seen by us: the next look tells which.
      node.notFound.add(object.id)
      node.observer.doubt()
      return ok(undefined)
    }
    node.notFound.delete(object.id)
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
}

// A VNIC's status tells of one block: the one that its own address is of.
function ownCidrs({ vnic: { privateIp }, subnet }: ObservedVnic): readonly Ipv4Cidr[] {
  const own = subnet.ipv4Cidrs.filter((cidr) => privateIp !== undefined && cidrContains(cidr, privateIp))
  return own.length === 0 ? subnet.ipv4Cidrs : own
}

function held({ vnic, objects }: ObservedVnic): readonly Ipv4[] {
  return [...(vnic.privateIp === undefined ? [] : [vnic.privateIp]), ...objects.flatMap(addressesOf)]
}
