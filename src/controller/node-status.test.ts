import { describe, expect, test } from 'vitest'
import type { Condition, NpnStatus } from '../kube/native-pod-network-status.ts'
import type { Advice } from './failure-advice.ts'
import { planNode } from './node-plan.ts'
import {
  addressCapacity,
  describeOutcome,
  instanceNotRunning,
  type Outcome,
  stampConditions,
  statusVnics,
} from './node-status.ts'
import {
  attachment,
  cidr,
  demand,
  instance,
  ip,
  nodeWish,
  observation,
  observedVnic,
  planInput,
  releases,
  subnet,
  vnicWish,
  type WishParts,
} from './observation.fixture.ts'
import type { NodeObservation, ObservedVnic } from './observation.ts'

interface Case {
  readonly wish?: WishParts
  readonly vnics?: readonly ObservedVnic[]
  readonly observed?: Partial<NodeObservation>
  readonly used?: number
  readonly releases?: ReturnType<typeof releases>
  readonly edit?: string
  readonly failure?: Advice
}

function outcomeOf({
  wish: parts,
  vnics = [],
  observed: over,
  used = 0,
  releases: entries = [],
  ...rest
}: Case): Outcome {
  const observed = observation(vnics, over)
  const wish = nodeWish(parts)
  const plan = planNode(planInput(observed, wish, { demand: demand(used), releases: entries }))
  return { kind: 'planned', wish, observed, plan, used, ...rest }
}

// Conditions as sentences.
function described(outcome: Outcome, state?: NpnStatus['state']) {
  const facts = describeOutcome(outcome, state === undefined ? {} : { state })
  return {
    state: `${facts.state} ${facts.reason}`,
    conditions: facts.conditions.map(({ type, status, reason, message }) => `${type} ${status} ${reason}: ${message}`),
  }
}

const wantsTwo: WishParts = { addresses: { minimum: 2 } }
const vnicWithTwo = observedVnic('1', { objects: ['10.0.4.8', '10.0.4.9'] })
const failure: Advice = {
  reason: 'Throttled',
  message: 'too often',
  npnReason: 'FailedToCreatePrivateIP',
  condition: 'AddressesAssigned',
}

describe('the state', () => {
  const one = observedVnic('1', { objects: ['10.0.4.8'] })
  test.each<[what: string, row: Case, before: NpnStatus['state'], state: string]>([
    [
      'of a node that has what it wants is success',
      { wish: wantsTwo, vnics: [vnicWithTwo] },
      'IN_PROGRESS',
      'SUCCESS COMPLETED',
    ],
    ['of a node that has less is progress', { wish: wantsTwo, vnics: [one] }, 'IN_PROGRESS', 'IN_PROGRESS IN_PROGRESS'],
    ['of a node without any status is progress', { wish: wantsTwo }, undefined, 'IN_PROGRESS IN_PROGRESS'],
    [
      'of a node that served goes on being success while it grows',
      { wish: wantsTwo, vnics: [one] },
      'SUCCESS',
      'SUCCESS COMPLETED',
    ],
    ['of a node that served and has none left is progress', { wish: wantsTwo }, 'SUCCESS', 'IN_PROGRESS IN_PROGRESS'],
    [
      'of a failure is back-off',
      { wish: wantsTwo, vnics: [vnicWithTwo], failure },
      'SUCCESS',
      'BACKOFF FailedToCreatePrivateIP',
    ],
    [
      'of an obstacle is back-off',
      { wish: wantsTwo, observed: { vnicLimit: 1 } },
      'IN_PROGRESS',
      'BACKOFF FailedToAttachVNIC',
    ],
  ])('%s', (_what, row, before, state) => {
    expect(described(outcomeOf(row), before).state).toBe(state)
  })
})

describe('the conditions', () => {
  const attached = 'VnicsAttached True Attached: vcn-cni-1 in pods'
  const accepted = 'Accepted True Accepted: instance worker is RUNNING'
  const named = observedVnic('1', { vnic: { displayName: 'vcn-cni-1' }, objects: ['10.0.4.8', '10.0.4.9'] })
  test.each<[what: string, row: Case, conditions: readonly string[]]>([
    [
      'of a node at rest',
      { wish: wantsTwo, vnics: [named], used: 1 },
      [accepted, attached, 'AddressesAssigned True Assigned: 2 addresses of 2 wanted; 1 in use'],
    ],
    [
      'of a new node',
      { wish: wantsTwo },
      [
        accepted,
        'VnicsAttached False NoVnic: no VNIC for pods is attached yet',
        'AddressesAssigned False Assigning: 0 addresses of 2 wanted; 0 in use',
      ],
    ],
    [
      'of a node that waits for its VNIC',
      { wish: wantsTwo, observed: { attachments: [attachment('x', { lifecycleState: 'ATTACHING' })] } },
      [
        accepted,
        'VnicsAttached False Attaching: waiting for the node’s VNIC number 1 to be attached',
        'AddressesAssigned False Assigning: 0 addresses of 2 wanted; 0 in use',
      ],
    ],
    [
      'of a node that gives addresses back',
      { wish: { addresses: { minimum: 1 } }, vnics: [named], releases: releases('Marked', '10.0.4.9') },
      [
        accepted,
        attached,
        'AddressesAssigned True Assigned: 1 addresses of 1 wanted; 0 in use; 1 on their way back to the subnet',
      ],
    ],
    [
      'of a failure',
      { wish: wantsTwo, vnics: [named], failure },
      [accepted, attached, 'AddressesAssigned False Throttled: 2 addresses of 2 wanted; 0 in use: too often'],
    ],
    [
      'of a failure with VNICs',
      { wish: wantsTwo, vnics: [named], failure: { ...failure, condition: 'VnicsAttached' } },
      [
        accepted,
        'VnicsAttached False Throttled: too often',
        'AddressesAssigned True Assigned: 2 addresses of 2 wanted; 0 in use',
      ],
    ],
    [
      'of a status that somebody edited',
      { wish: wantsTwo, vnics: [named], edit: 'status.vnics is wrong' },
      [
        accepted,
        attached,
        'AddressesAssigned True Assigned: 2 addresses of 2 wanted; 0 in use',
        'StatusIntact True Restored: status.vnics is wrong; the status was put right: it is the controller’s and the agent’s to write, change spec instead',
      ],
    ],
  ])('%s', (_what, row, conditions) => {
    expect(described(outcomeOf(row)).conditions).toEqual(conditions)
  })

  test('of more pods than the shape has room for', () => {
    const [first] = described(outcomeOf({ wish: { maxPodCount: 110 }, observed: { vnicLimit: 2 } })).conditions
    expect(first).toMatch(
      /^Accepted False MaxPodCountBeyondShape: maxPodCount is 110, but shape .* has room for 64 addresses/,
    )
  })

  test('of a node that could not be looked at', () => {
    const outcome: Outcome = { kind: 'unplanned', advice: instanceNotRunning(instance({ lifecycleState: 'STOPPED' })) }
    expect(described(outcome, 'SUCCESS')).toEqual({
      state: 'BACKOFF FailedToGetRunningInstance',
      conditions: [
        `Accepted False InstanceNotRunning: instance ${instance().id} is STOPPED; waiting until it is RUNNING`,
        'VnicsAttached Unknown NotLookedAt: Accepted is not: InstanceNotRunning',
        'AddressesAssigned Unknown NotLookedAt: Accepted is not: InstanceNotRunning',
      ],
    })
  })
})

test.each<[what: string, wish: WishParts, vnicLimit: number | undefined, capacity: number | undefined]>([
  ['one VNIC is the node’s own', {}, 3, 128],
  ['blocks are sixteen addresses', { addresses: { preferBlocks: true } }, 2, 1024],
  ['listed VNICs hold what is listed', { listed: [vnicWish({ objects: 31 }), vnicWish({ objects: 8 })] }, 9, 39],
  ['nobody knows the limit', {}, undefined, undefined],
])('capacity: %s', (_what, wish, vnicLimit, capacity) => {
  const { vnicLimit: _, ...observed } = observation([])
  const limited = vnicLimit === undefined ? observed : { ...observed, vnicLimit }
  expect(addressCapacity(nodeWish(wish), limited)).toBe(capacity)
})

describe('the VNICs of the status', () => {
  const twoBlocks = subnet('pods', { ipv4Cidrs: [cidr('10.0.4.0/24'), cidr('10.0.9.0/24')] })
  test('have every address of every object, and the subnet’s router', () => {
    const vnic = observedVnic('1', { objects: ['10.0.4.8', '10.0.4.16/30'], attachment: { nicIndex: 1, vlanTag: 5 } })
    expect(statusVnics(observation([vnic]))).toEqual([
      {
        vnicId: vnic.vnic.id,
        macAddress: '02:00:17:00:00:01',
        routerIp: '10.0.4.1',
        subnetCidr: cidr('10.0.4.0/22'),
        hostAddress: '10.0.4.2',
        addresses: ['10.0.4.8', '10.0.4.16', '10.0.4.17', '10.0.4.18', '10.0.4.19'],
        nicIndex: 1,
        vlanTag: 5,
      },
    ])
  })

  test('have the block of the subnet that their own address is of', () => {
    const vnic = observedVnic('1', { subnet: twoBlocks, vnic: { privateIp: ip('10.0.9.7') } })
    expect(statusVnics(observation([vnic]))).toMatchObject([{ subnetCidr: cidr('10.0.9.0/24') }])
  })
})

describe('stamps', () => {
  const ready = { type: 'Ready', status: 'True', reason: 'Yes', message: 'new' } as const
  const before: Condition = { ...ready, message: 'old', lastTransitionTime: 'then', observedGeneration: 1 }
  test.each<[what: string, previous: readonly Condition[], expected: readonly Condition[]]>([
    ['a new condition has changed now', [], [{ ...ready, lastTransitionTime: 'now', observedGeneration: 2 }]],
    ['a new message is no change', [before], [{ ...before, message: 'new', observedGeneration: 2 }]],
    [
      'a new status is',
      [{ ...before, status: 'False' }],
      [{ ...ready, lastTransitionTime: 'now', observedGeneration: 2 }],
    ],
    [
      'conditions of others stay',
      [{ ...before, type: 'Theirs' }, before],
      [
        { ...before, message: 'new', observedGeneration: 2 },
        { ...before, type: 'Theirs' },
      ],
    ],
  ])('%s', (_what, previous, expected) => {
    expect(stampConditions([ready], previous, 2, 'now')).toEqual(expected)
  })
})
