import { describe, expect, test } from 'vitest'
import {
  attachment,
  instance,
  noLimits,
  nodeWish,
  nsgId,
  observation,
  observedVnic,
  planInput,
  releases,
  subnet,
  subnetId,
  vnicId,
  vnicWish,
  type WishParts,
} from './observation.fixture.ts'
import type { KnownLimits, Obstacle, PlanInput, Step } from './node-plan.ts'
import { planNode } from './node-plan.ts'
import type { NodeObservation, ObservedVnic } from './observation.ts'

const singles = (count: number, third = 5): readonly string[] =>
  Array.from({ length: count }, (_, at) => `10.0.${third}.${at + 10}`)
const blocks = (count: number): readonly string[] => Array.from({ length: count }, (_, at) => `10.0.6.${at * 16}/28`)

// A step as a sentence.
function told(step: Step): string {
  switch (step.kind) {
    case 'attach':
      return `attach ${step.ordinal} in ${step.subnetId.split('.').at(-1)}`
    case 'awaitAttachment':
      return 'await'
    case 'updateVnic':
      return `update ${nameOf(step.vnic)}`
    case 'createBlock':
      return `block on ${nameOf(step.vnic)}`
    case 'createAddresses':
      return `${step.count} on ${nameOf(step.vnic)}`
    case 'delete':
      return `delete ${step.object.id.split('.').at(-1)}`
  }
}

const nameOf = ({ vnic }: ObservedVnic): string => vnic.id.split('.').at(-1) ?? ''

interface Case {
  readonly wish?: WishParts
  readonly vnics?: readonly ObservedVnic[]
  readonly observed?: Partial<NodeObservation>
  readonly limits?: Partial<KnownLimits>
  readonly input?: Partial<PlanInput>
  readonly steps: readonly string[]
  readonly obstacle?: Obstacle
}

function expectPlan({ wish, vnics = [], observed, limits, input, steps, obstacle }: Case): void {
  const all = { limits: { ...noLimits, ...limits }, ...input }
  const plan = planNode(planInput(observation(vnics, observed), nodeWish(wish), all))
  expect(plan.steps.map(told)).toEqual(steps)
  expect(plan.obstacle).toEqual(obstacle)
}

const wants = (count: number, over: WishParts['addresses'] = {}): WishParts => ({
  addresses: { minimum: count, ...over },
})
const wantsBlocks = (count: number, maximum = 110): WishParts => wants(count, { preferBlocks: true, maximum })

describe('growth', () => {
  test.each<[what: string, row: Case]>([
    ['a node without a VNIC gets one', { wish: wants(4), steps: ['attach 1 in pods'] }],
    ['a node at rest gets nothing', { wish: wants(2), vnics: [observedVnic('a', { objects: singles(2) })], steps: [] }],
    ['single addresses', { wish: wants(3), vnics: [observedVnic('a', { objects: singles(1) })], steps: ['2 on a'] }],
    ['at most eight of them at a time', { wish: wants(40), vnics: [observedVnic('a')], steps: ['8 on a'] }],
    ['blocks', { wish: wantsBlocks(17), vnics: [observedVnic('a')], steps: ['block on a', 'block on a'] }],
    [
      'at most eight of them at a time, too',
      { wish: wantsBlocks(500, 500), vnics: [observedVnic('a')], steps: Array<string>(8).fill('block on a') },
    ],
    [
      'no block that goes beyond the maximum',
      { wish: wantsBlocks(20, 20), vnics: [observedVnic('a')], steps: ['block on a', '4 on a'] },
    ],
    [
      'single addresses where the subnet has no block left',
      {
        wish: wantsBlocks(3),
        vnics: [observedVnic('a')],
        limits: { subnetsWithoutBlocks: new Set([subnetId()]) },
        steps: ['3 on a'],
      },
    ],
    [
      'Compatible takes no block for less than a block',
      {
        wish: { maxPodCount: 20, addresses: { mode: 'Compatible', preferBlocks: true, maximum: 99 } },
        vnics: [observedVnic('a')],
        steps: ['block on a', '4 on a'],
      },
    ],
    [
      'the first VNIC that has room is filled',
      { wish: wants(64), vnics: [observedVnic('a', { objects: singles(62) }), observedVnic('b')], steps: ['2 on a'] },
    ],
    [
      'the rest goes to the next one',
      {
        wish: wants(65),
        vnics: [observedVnic('a', { objects: singles(63) }), observedVnic('b')],
        steps: ['1 on a', '1 on b'],
      },
    ],
    [
      'a new VNIC is attached while the last room is filled',
      { wish: wants(66), vnics: [observedVnic('a', { objects: singles(63) })], steps: ['1 on a', 'attach 2 in pods'] },
    ],
    [
      'a VNIC that is being made has no room yet',
      {
        wish: wants(1),
        vnics: [observedVnic('a', { vnic: { lifecycleState: 'PROVISIONING' } })],
        steps: ['attach 2 in pods'],
      },
    ],
    [
      'a VNIC that was found full is left alone',
      {
        wish: wants(1),
        vnics: [observedVnic('a')],
        limits: { fullVnics: new Set([vnicId('a')]) },
        steps: ['attach 2 in pods'],
      },
    ],
    [
      'the second subnet when the first is full',
      {
        wish: { ...wants(1), template: { subnetIds: [subnetId(), subnetId('more')] } },
        vnics: [observedVnic('a')],
        limits: { subnetsWithoutAddresses: new Set([subnetId()]) },
        steps: ['attach 2 in more'],
      },
    ],
  ])('%s', (_what, row) => expectPlan(row))

  test.each(['ATTACHING', 'DETACHING'] as const)('nothing is attached while another VNIC is %s', (lifecycleState) => {
    const observed = { attachments: [attachment('primary'), attachment('x', { lifecycleState })] }
    expectPlan({ wish: wants(1), observed, steps: ['await'] })
    const vnics = [observedVnic('a')]
    expectPlan({ wish: wants(65), vnics, observed, steps: ['8 on a', 'await'] })
  })
})

describe('upkeep', () => {
  const red = vnicWish({ nsgIds: [nsgId('red')] })
  test.each<[what: string, row: Case]>([
    [
      'another group',
      { wish: { listed: [red] }, vnics: [observedVnic('a', { objects: singles(1) })], steps: ['update a'] },
    ],
    [
      'a check that somebody turned on',
      {
        vnics: [observedVnic('a', { objects: singles(1), vnic: { skipSourceDestCheck: false } })],
        steps: ['update a'],
      },
    ],
    [
      'not of a VNIC that is being made',
      {
        wish: { listed: [vnicWish({ ...red, objects: 1 })] },
        vnics: [observedVnic('a', { objects: singles(1), vnic: { lifecycleState: 'PROVISIONING' } })],
        steps: [],
      },
    ],
    [
      'what is confirmed is deleted',
      {
        wish: wants(1),
        vnics: [observedVnic('1', { objects: singles(2) })],
        input: { releases: releases('Confirmed', '10.0.5.11') },
        steps: ['delete 10-0-5-11'],
      },
    ],
    [
      'and what is wanted in its place is made',
      {
        wish: wants(2),
        vnics: [observedVnic('1', { objects: singles(2) })],
        input: { releases: releases('Confirmed', '10.0.5.11') },
        steps: ['delete 10-0-5-11', '1 on 1'],
      },
    ],
  ])('%s', (_what, row) => expectPlan(row))
})

describe('listed VNICs', () => {
  const [small, large] = [vnicWish({ objects: 2 }), vnicWish({ subnetIds: [subnetId('more')], objects: 8 })]
  const smallFull = observedVnic('s', { objects: singles(2) })
  const largeEmpty = observedVnic('l', { subnet: subnet('more') })
  test.each<[what: string, row: Case]>([
    [
      'are attached one at a time, whether needed or not',
      { wish: { listed: [small, large] }, steps: ['attach 1 in pods'] },
    ],
    [
      'the second one after the first',
      { wish: { listed: [small, large] }, vnics: [smallFull], steps: ['attach 2 in more'] },
    ],
    [
      'each takes as many as it may',
      { wish: { ...wants(4), listed: [small, large] }, vnics: [smallFull, largeEmpty], steps: ['2 on l'] },
    ],
    [
      'are full when all are',
      {
        wish: { ...wants(4), listed: [small] },
        vnics: [smallFull],
        steps: [],
        obstacle: { kind: 'listedVnicsFull', vnics: 1 },
      },
    ],
    [
      'are in a full subnet',
      {
        wish: { ...wants(4), listed: [small, large] },
        vnics: [smallFull, largeEmpty],
        limits: { subnetsWithoutAddresses: new Set([subnetId('more')]) },
        steps: [],
        obstacle: { kind: 'subnetsFull', subnetIds: [subnetId('more')] },
      },
    ],
    [
      'one that is not listed any more keeps what it has, and gets nothing',
      { wish: { ...wants(4), listed: [large] }, vnics: [smallFull, largeEmpty], steps: ['2 on l'] },
    ],
  ])('%s', (_what, row) => expectPlan(row))
})

describe('obstacles', () => {
  const { shape } = instance()
  const full = observedVnic('a', { objects: blocks(4) })
  test.each<[what: string, row: Case]>([
    [
      'a shape of one VNIC',
      { wish: wants(1), observed: { vnicLimit: 1 }, steps: [], obstacle: { kind: 'oneVnicShape', shape } },
    ],
    [
      'no VNIC more',
      {
        wish: { ...wants(65), template: { objects: 4 } },
        vnics: [full],
        observed: { vnicLimit: 2 },
        steps: [],
        obstacle: { kind: 'vnicsExhausted', shape, limit: 2, attached: 2 },
      },
    ],
    [
      'somebody else’s VNICs count, too',
      {
        wish: wants(1),
        observed: { vnicLimit: 2, attachments: [attachment('primary'), attachment('foreign')] },
        steps: [],
        obstacle: { kind: 'vnicsExhausted', shape, limit: 2, attached: 2 },
      },
    ],
    [
      'the cloud refused one more',
      {
        wish: wants(1),
        limits: { instanceFull: true },
        steps: [],
        obstacle: { kind: 'vnicsExhausted', shape, limit: 4, attached: 1 },
      },
    ],
    [
      'all subnets are full',
      {
        wish: wants(1),
        vnics: [observedVnic('a')],
        limits: { subnetsWithoutAddresses: new Set([subnetId()]) },
        steps: [],
        obstacle: { kind: 'subnetsFull', subnetIds: [subnetId()] },
      },
    ],
  ])('%s', (_what, row) => expectPlan(row))
})
