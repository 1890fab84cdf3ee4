import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { AddressRelease } from '../kube/native-pod-network-status.ts'
import { type NodePlan, planNode } from './node-plan.ts'
import type { NodeWish } from './node-wish.ts'
import { addressCount, addressesOf } from './observation.ts'
import { demand, noLimits, nodeWish, planInput, subnetId, vnicWish } from './observation.fixture.ts'
import { carryOut, emptyCloud, type PerfectCloud } from './perfect-cloud.fixture.ts'

const [first, second] = [subnetId('first'), subnetId('second')]
const mostRounds = 400

const addresses = fc
  .record({
    mode: fc.constantFrom('Elastic' as const, 'Compatible' as const),
    minimum: fc.nat(40),
    warm: fc.nat(20),
    maximum: fc.integer({ min: 1, max: 250 }),
    preferBlocks: fc.boolean(),
  })
  .map((wish) => ({ ...wish, minimum: Math.min(wish.minimum, wish.maximum) }))
const listed = fc.array(
  fc
    .record({
      subnetIds: fc.constantFrom([first], [second], [first, second]),
      objects: fc.integer({ min: 1, max: 64 }),
    })
    .map((over) => vnicWish(over)),
  { minLength: 1, maxLength: 4 },
)
const wishes = fc
  .record({ maxPodCount: fc.integer({ min: 1, max: 200 }), addresses, list: fc.option(listed, { freq: 3 }) })
  .map(({ list, ...rest }) =>
    nodeWish({ ...rest, template: { subnetIds: [first, second] }, ...(list !== null && { listed: list }) }),
  )
const room = fc.record({ free: fc.constantFrom(0, 5, 40, 100_000), hasBlocks: fc.boolean() })
const lives = fc.record({
  vnicLimit: fc.integer({ min: 1, max: 6 }),
  rooms: fc.tuple(room, room),
  stages: fc.array(fc.record({ wish: wishes, used: fc.nat(220) }), { minLength: 1, maxLength: 4 }),
})

interface Node {
  readonly cloud: PerfectCloud
  readonly releases: readonly AddressRelease[]
}

// One round of the controller; then the agent confirms whatever is marked.
function round(
  { cloud, releases }: Node,
  wish: NodeWish,
  used: number,
): { readonly node: Node; readonly plan: NodePlan } {
  const { observed, limits } = cloud
  const plan = planNode(planInput(observed, wish, { demand: demand(used), releases, mayMark: true, limits }))
  const after = carryOut(cloud, plan.steps)
  const left = new Set(after.observed.vnics.flatMap(({ objects }) => objects.flatMap(addressesOf)))
  const confirmed = plan.releases.filter(({ address }) => left.has(address))
  return { plan, node: { cloud: after, releases: confirmed.map((one) => ({ ...one, state: 'Confirmed' as const })) } }
}

function settle(start: Node, wish: NodeWish, used: number): { readonly node: Node; readonly plan: NodePlan } {
  // What the cloud refused before is not believed for ever.
  let node: Node = { ...start, cloud: { ...start.cloud, limits: noLimits } }
  for (let rounds = 0; rounds < mostRounds; rounds++) {
    const next = round(node, wish, used)
    expectWithinBounds(node, next.node, next.plan, wish)
    node = next.node
    if (next.plan.steps.length === 0 && node.releases.length === 0) return next
  }
  throw new Error(`not at rest after ${mostRounds} rounds`)
}

function expectWithinBounds(before: Node, { cloud }: Node, plan: NodePlan, wish: NodeWish): void {
  const { attachments, vnicLimit = Infinity, vnics } = cloud.observed
  expect(attachments.length).toBeLessThanOrEqual(vnicLimit)
  const had = addressCount(before.cloud.observed.vnics)
  const has = addressCount(vnics)
  const most = wish.addresses.mode === 'Compatible' ? wish.maxPodCount : wish.addresses.maximum
  if (plan.steps.some(({ kind }) => kind.startsWith('create'))) expect(has).toBeLessThanOrEqual(Math.max(had, most))
  // Wishes of an earlier stage may have left more, but not more than a VNIC ever holds.
  for (const { objects } of vnics) expect(objects.length).toBeLessThanOrEqual(64)
}

test('every wish and every demand comes to rest, within all bounds, with what is wanted or the reason why not', () => {
  fc.assert(
    fc.property(lives, ({ vnicLimit, rooms, stages }) => {
      const subnets = [first, second].map((id, at) => ({ id, free: 0, hasBlocks: false, ...rooms[at] }))
      let node: Node = { cloud: emptyCloud(vnicLimit, subnets), releases: [] }
      for (const { wish, used } of stages) {
        const { node: rested, plan } = settle(node, wish, used)
        node = rested
        if (plan.available < plan.wanted) expect(plan.obstacle).toBeDefined()
        expectNothingToGiveBack(node, plan)
      }
    }),
    { numRuns: 80 },
  )
})

test('what is wanted is reached, exactly in Compatible mode, where subnets and VNICs have room', () => {
  const roomy = [first, second].map((id) => ({ id, free: 100_000, hasBlocks: true }))
  const asNeeded = wishes.filter(({ vnics }) => vnics.kind === 'asNeeded')
  fc.assert(
    fc.property(asNeeded, fc.nat(220), (wish, used) => {
      const { plan, node } = settle({ cloud: emptyCloud(6, roomy), releases: [] }, wish, used)
      expect(plan.obstacle).toBeUndefined()
      expect(plan.available).toBeGreaterThanOrEqual(plan.wanted)
      const count = addressCount(node.cloud.observed.vnics)
      if (wish.addresses.mode === 'Compatible') expect(count).toBe(wish.maxPodCount)
      // Less than a block too many; without blocks not one.
      expect(count - plan.wanted).toBeLessThan(wish.addresses.preferBlocks ? 16 : 1)
    }),
    { numRuns: 80 },
  )
})

test('no VNIC holds more objects than it is described with', () => {
  const roomy = [first, second].map((id) => ({ id, free: 100_000, hasBlocks: true }))
  fc.assert(
    fc.property(listed, addresses, fc.nat(220), (list, given, used) => {
      const wish = nodeWish({ maxPodCount: 200, addresses: given, listed: list })
      const { node, plan } = settle({ cloud: emptyCloud(6, roomy), releases: [] }, wish, used)
      const { vnics } = node.cloud.observed
      expect(vnics).toHaveLength(list.length)
      // Which VNIC is whose is the matching's to say: all together they hold no more than all wishes.
      const most = list.map(({ objects }) => objects).toSorted((a, b) => b - a)
      const held = vnics.map(({ objects }) => objects.length).toSorted((a, b) => b - a)
      held.forEach((count, at) => expect(count).toBeLessThanOrEqual(most[at] ?? 0))
      if (plan.available < plan.wanted) expect(plan.obstacle?.kind).toBe('listedVnicsFull')
    }),
    { numRuns: 80 },
  )
})

function expectNothingToGiveBack({ cloud }: Node, { available, wanted }: NodePlan): void {
  const sizes = cloud.observed.vnics.flatMap(({ objects }) => objects.map((object) => addressesOf(object).length))
  expect(sizes.filter((size) => size <= available - wanted)).toEqual([])
}
