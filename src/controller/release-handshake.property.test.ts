import fc from 'fast-check'
import { expect, test } from 'vitest'
import { addressesOf } from './observation.ts'
import { ReleaseWorld } from './release-world.fixture.ts'

const actions = [
  'podComes',
  'podGoes',
  'manyPods',
  'noPods',
  'agentReads',
  'agentSaves',
  'agentThinks',
  'agentWrites',
  'controllerReads',
  'controllerHearsOfPods',
  'controllerThinks',
  'controllerActs',
  'controllerWrites',
  'passTime',
  'agentCrashes',
  'controllerCrashes',
  'lateCallArrives',
] as const
type Action = (typeof actions)[number]

const agentTurn: readonly Action[] = [
  ...Array<Action>(4).fill('agentReads'),
  'agentSaves',
  'agentThinks',
  'agentWrites',
]
const controllerTurn: readonly Action[] = [
  ...Array<Action>(4).fill('controllerReads'),
  'controllerThinks',
  ...Array<Action>(20).fill('controllerActs'),
  'controllerWrites',
]
const calm: readonly Action[] = [...agentTurn, 'controllerHearsOfPods', ...controllerTurn, 'lateCallArrives']

// The agent is about to confirm what the controller takes back, and gives it out.
const changeOfMind: readonly Action[] = [
  'noPods',
  ...controllerTurn,
  ...agentTurn.slice(0, -1),
  'manyPods',
  ...controllerTurn,
  ...Array<Action>(4).fill('agentReads'),
  ...Array<Action>(12).fill('podComes'),
  'agentWrites',
  'noPods',
  ...controllerTurn,
]

// Whole turns, so that the release gets somewhere, and single actions in between, where nobody expects them.
const burst = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...actions).map((action) => [action]) },
  { weight: 2, arbitrary: fc.constantFrom(agentTurn, controllerTurn) },
  { weight: 1, arbitrary: fc.constant([...agentTurn, ...controllerTurn, ...agentTurn]) },
  { weight: 1, arbitrary: fc.constant(changeOfMind) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.constantFrom<Action>('podComes', 'podGoes'), fc.integer({ min: 2, max: 20 }))
      .map(([action, times]) => Array<Action>(times).fill(action)),
  },
)
const histories = fc.array(burst, { maxLength: 150, size: 'max' }).map((list) => list.flat())

// Everybody does the work in turn, and reads what is newest.
function calmDown(world: ReleaseWorld, isOver: () => boolean): void {
  for (let rounds = 0; rounds < 400 && !isOver(); rounds++) for (const action of calm) world[action]()
}

test('no address is taken from a pod, and all that is too much goes back in the end, whatever comes in between', () => {
  fc.assert(
    fc.property(fc.boolean(), histories, (preferBlocks, history) => {
      const world = new ReleaseWorld(preferBlocks)
      calmDown(world, () => world.assigned.length > 0)
      for (const action of history) {
        world[action]()
        expect(world.violations).toEqual([])
      }
      while (world.held.size > 0) world.podGoes()
      world.noPods()
      const wanted = 2
      const isOver = (): boolean => world.releases.length === 0 && excess(world, wanted) === 0
      // What was marked in vain is left alone for ten minutes; what was marked before them is in vain by then.
      for (let times = 0; times < 3 && !isOver(); times++) {
        for (let passed = 0; passed < 600_000; passed += 20) world.passTime()
        calmDown(world, isOver)
      }
      expect(world.violations).toEqual([])
      expect(world.releases).toEqual([])
      expect(excess(world, wanted)).toBe(0)
    }),
    { numRuns: 200 },
  )
})

// Objects that could still go: a block of 16 may hold the two that are wanted.
function excess(world: ReleaseWorld, wanted: number): number {
  const sizes = world.assigned.map((object) => addressesOf(object).length)
  const total = sizes.reduce((sum, size) => sum + size, 0)
  return sizes.filter((size) => size <= total - wanted).length
}
