import { describe, expect, test } from 'vitest'
import { planNode, wantedAddresses } from './node-plan.ts'
import type { AddressWish } from './node-wish.ts'
import { demand, nodeWish, observation, observedVnic, planInput, type WishParts } from './observation.fixture.ts'

describe('wanted addresses', () => {
  const elastic = { minimum: 4, warm: 2, maximum: 20 }
  const compatible = { mode: 'Compatible', minimum: 40, maximum: 4 } as const
  test.each<[what: string, addresses: Partial<AddressWish>, used: number, pods: number, wanted: number]>([
    ['what is used and a warm margin', elastic, 5, 0, 7],
    ['Kubernetes’ pods when it knows of more than the agent', elastic, 5, 9, 11],
    ['the agent’s number when more addresses cool down', elastic, 9, 5, 11],
    ['the minimum at least', elastic, 0, 0, 4],
    ['the maximum at most', elastic, 30, 30, 20],
    ['one when nothing is wished for: a node without a free address is never used', { minimum: 0, warm: 0 }, 0, 0, 1],
    ['one to spare without a margin, for the same reason', { minimum: 0, warm: 0 }, 3, 3, 4],
    ['in Compatible mode as many as pods may come, whatever the bounds', compatible, 0, 0, 31],
    ['in Compatible mode also when more are used', compatible, 99, 0, 31],
  ])('%s', (_what, addresses, used, pods, wanted) => {
    expect(wantedAddresses(nodeWish({ maxPodCount: 31, addresses }), { used, pods })).toBe(wanted)
  })
})

describe('wishes that were larger once', () => {
  const objects = ['10.0.6.0/28', '10.0.6.16/28', '10.0.5.10', '10.0.5.11']
  const vnics = [observedVnic('1', { objects })]
  const marking = { mayMark: true }
  const marked = (wish: WishParts, used: number): readonly string[] =>
    planNode(planInput(observation(vnics), nodeWish(wish), { ...marking, demand: demand(used) })).releases.map(
      ({ address }) => address,
    )
  test.each<[what: string, wish: WishParts, used: number, marked: number]>([
    ['a smaller maximum gives back what goes as a whole', { addresses: { maximum: 10 } }, 10, 18],
    ['a smaller maxPodCount in Compatible mode, too', { maxPodCount: 10, addresses: { mode: 'Compatible' } }, 10, 18],
    ['more in use than the maximum is not an excess beyond it', { addresses: { maximum: 20 } }, 30, 2],
    [
      'blocks that are not preferred any more stay while they are needed',
      { addresses: { preferBlocks: false } },
      31,
      2,
    ],
    ['a minimum holds them', { addresses: { minimum: 34 } }, 0, 0],
  ])('%s', (_what, wish, used, count) => {
    expect(marked(wish, used)).toHaveLength(count)
  })
})
