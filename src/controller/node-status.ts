import { cidrContains, type Ipv4Cidr } from '../base/cidr.ts'
import type { Condition, NpnReason, NpnState, NpnStatus, NpnVnic } from '../kube/native-pod-network-status.ts'
import type { Instance } from '../oci/core-services.ts'
import type { Advice } from './failure-advice.ts'
import { adviseOnObstacle } from './failure-advice.ts'
import { blockSize, type NodePlan } from './node-plan.ts'
import type { NodeWish } from './node-wish.ts'
import { addressesOf, isBeingModified, type NodeObservation, type ObservedVnic } from './observation.ts'

/** What a round of work on a node came to. */
export type Outcome =
  /** Nothing could be planned: the resource or the instance is not as it must be, or the cloud could not be asked. */
  | { readonly kind: 'unplanned'; readonly advice: Advice }
  | {
      readonly kind: 'planned'
      readonly wish: NodeWish
      readonly observed: NodeObservation
      readonly plan: NodePlan
      readonly used: number
      /** What somebody else did to the status, and is put right now. */
      readonly edit?: string
      readonly failure?: Advice
    }

/** A condition without the time of its last change. */
export type ConditionFacts = Omit<Condition, 'lastTransitionTime' | 'observedGeneration'>

export interface StatusFacts {
  readonly state: NpnState
  readonly reason: NpnReason
  readonly conditions: readonly ConditionFacts[]
}

const conditionTypes = ['Accepted', 'VnicsAttached', 'AddressesAssigned'] as const

export function describeOutcome(outcome: Outcome, previous: Pick<NpnStatus, 'state'>): StatusFacts {
  if (outcome.kind === 'unplanned') return describeUnplanned(outcome.advice)
  const { plan, observed, failure } = outcome
  const obstacle = plan.obstacle === undefined ? undefined : adviseOnObstacle(plan.obstacle)
  const trouble = failure ?? obstacle
  const conditions = [
    accepted(outcome),
    vnicsAttached(observed, trouble),
    addressesAssigned(outcome, trouble),
    ...(outcome.edit === undefined ? [] : [restored(outcome.edit)]),
  ]
  if (trouble !== undefined) return { state: 'BACKOFF', reason: trouble.npnReason, conditions }
  // Once it served, a node goes on serving while it grows.
  const isServing = previous.state === 'SUCCESS' && plan.available > 0
  return plan.available >= plan.wanted || isServing
    ? { state: 'SUCCESS', reason: 'COMPLETED', conditions }
    : { state: 'IN_PROGRESS', reason: 'IN_PROGRESS', conditions }
}

export function instanceNotRunning({ lifecycleState, id }: Instance): Advice {
  const message = `instance ${id} is ${lifecycleState}; waiting until it is RUNNING`
  return { reason: 'InstanceNotRunning', message, npnReason: 'FailedToGetRunningInstance', condition: 'Accepted' }
}

/** The resource's VNICs as they are in the cloud; `subnetCidr` is the block that the VNIC's own address is of. */
export function statusVnics(observed: NodeObservation): readonly NpnVnic[] {
  return observed.vnics.flatMap((one) => {
    const { vnic, attachment, subnet, objects } = one
    const subnetCidr = cidrOf(one)
    if (vnic.mac === undefined || subnetCidr === undefined) return []
    return [
      {
        vnicId: vnic.id,
        macAddress: vnic.mac,
        routerIp: subnet.virtualRouterIp,
        subnetCidr,
        addresses: objects.flatMap(addressesOf),
        ...(vnic.privateIp !== undefined && { hostAddress: vnic.privateIp }),
        ...(attachment.nicIndex !== undefined && { nicIndex: attachment.nicIndex }),
        ...(attachment.vlanTag !== undefined && { vlanTag: attachment.vlanTag }),
      },
    ]
  })
}

/** With the times at which they last changed their status (apimachinery's SetStatusCondition). */
export function stampConditions(
  facts: readonly ConditionFacts[],
  previous: readonly Condition[],
  generation: number | undefined,
  now: string,
): readonly Condition[] {
  const stamped = facts.map((one): Condition => {
    const before = previous.find(({ type }) => type === one.type)
    const lastTransitionTime = before?.status === one.status ? before.lastTransitionTime : now
    return { ...one, lastTransitionTime, ...(generation !== undefined && { observedGeneration: generation }) }
  })
  // Conditions of other types are somebody else's, or stay as they were.
  const names = new Set<string>(facts.map(({ type }) => type))
  return [...stamped, ...previous.filter(({ type }) => !names.has(type))]
}

function describeUnplanned(advice: Advice): StatusFacts {
  const { condition, reason, message, npnReason } = advice
  const conditions = conditionTypes.map((type): ConditionFacts => {
    if (type === condition) return { type, status: 'False', reason, message }
    return { type, status: 'Unknown', reason: 'NotLookedAt', message: `${condition} is not: ${reason}` }
  })
  return { state: 'BACKOFF', reason: npnReason, conditions }
}

function accepted({ wish, observed }: Extract<Outcome, { kind: 'planned' }>): ConditionFacts {
  const capacity = addressCapacity(wish, observed)
  const type = 'Accepted'
  if (capacity !== undefined && capacity < wish.maxPodCount) {
    const message = `maxPodCount is ${wish.maxPodCount}, but shape ${observed.instance.shape} has room for ${capacity} addresses; the node gets up to ${capacity}; lower spec.maxPodCount or use a larger shape`
    return { type, status: 'False', reason: 'MaxPodCountBeyondShape', message }
  }
  if (wish.wantsIpv6) {
    const message = 'spec.ipFamilies asks for IPv6, which is not supported yet: the node gets IPv4 addresses alone'
    return { type, status: 'False', reason: 'Ipv6NotSupported', message }
  }
  return { type, status: 'True', reason: 'Accepted', message: `instance ${observed.instance.displayName} is RUNNING` }
}

/** Most addresses that the shape's VNICs can hold; undefined when the shape does not say how many VNICs. */
export function addressCapacity(wish: NodeWish, observed: NodeObservation): number | undefined {
  const perObject = wish.addresses.preferBlocks ? blockSize : 1
  if (wish.vnics.kind === 'listed') {
    return wish.vnics.list.reduce((sum, one) => sum + Math.min(one.objects * perObject, one.addresses), 0)
  }
  if (observed.vnicLimit === undefined) return undefined
  return (observed.vnicLimit - 1) * wish.vnics.template.objects * perObject
}

// Stays for whoever wonders later where the edit has gone.
function restored(edit: string): ConditionFacts {
  const message = `${edit}; the status was put right: it is the controller’s and the agent’s to write, change spec instead`
  return { type: 'StatusIntact', status: 'True', reason: 'Restored', message }
}

function vnicsAttached(observed: NodeObservation, trouble: Advice | undefined): ConditionFacts {
  const type = 'VnicsAttached'
  if (trouble?.condition === type) return { type, status: 'False', reason: trouble.reason, message: trouble.message }
  const count = observed.vnics.length
  if (isBeingModified(observed)) {
    const message = `waiting for the node’s VNIC number ${count + 1} to be attached`
    return { type, status: 'False', reason: 'Attaching', message }
  }
  if (count === 0) return { type, status: 'False', reason: 'NoVnic', message: 'no VNIC for pods is attached yet' }
  const names = observed.vnics.map(
    ({ vnic, subnet }) => `${vnic.displayName ?? vnic.id} in ${subnet.displayName ?? subnet.id}`,
  )
  return { type, status: 'True', reason: 'Attached', message: names.join(', ') }
}

function addressesAssigned(
  { plan, used }: Extract<Outcome, { kind: 'planned' }>,
  trouble: Advice | undefined,
): ConditionFacts {
  const type = 'AddressesAssigned'
  const numbers = `${plan.available} addresses of ${plan.wanted} wanted; ${used} in use`
  const leaving = plan.releases.length === 0 ? '' : `; ${plan.releases.length} on their way back to the subnet`
  if (trouble?.condition === type) {
    return { type, status: 'False', reason: trouble.reason, message: `${numbers}: ${trouble.message}` }
  }
  return plan.available >= plan.wanted
    ? { type, status: 'True', reason: 'Assigned', message: `${numbers}${leaving}` }
    : { type, status: 'False', reason: 'Assigning', message: `${numbers}${leaving}` }
}

function cidrOf({ vnic, subnet }: ObservedVnic): Ipv4Cidr | undefined {
  const { privateIp } = vnic
  const containing = privateIp && subnet.ipv4Cidrs.find((cidr) => cidrContains(cidr, privateIp))
  return containing ?? subnet.ipv4Cidrs[0]
}
