import { expect, test } from 'vitest'
import type { Logger } from '../../base/logger.ts'
import { FakeScheduler } from '../../kube/fake-scheduler.fixture.ts'
import type { ReflectorHealth } from '../../kube/reflector-health.ts'
import { StaleResources } from './stale-resources.ts'

const startMs = Date.parse('2026-03-01T00:00:00Z')
const at = (seconds: number): number => startMs + seconds * 1000
const base = { synced: true, failures: 0, lists: 1, watches: 1, malformed: [], lastEventMs: at(0) }
const alive = (heardS = 0): ReflectorHealth => ({ ...base, watching: true, lastEventMs: at(heardS) })
const failing = (sinceS: number): ReflectorHealth => ({
  ...base,
  watching: false,
  failures: 3,
  failingSinceMs: at(sinceS),
  lastError: { error: { kind: 'forbidden', request: 'WATCH networkpolicies', message: 'no right' }, atMs: at(sinceS) },
})

class World {
  readonly scheduler = new FakeScheduler()
  readonly logged: string[] = []
  pods = { plural: 'pods', health: alive() }
  rules = { plural: 'networkpolicies', health: alive() }
  readonly stale: StaleResources

  constructor() {
    const note = (event: string): void => void this.logged.push(event)
    const logger: Logger = { debug: note, info: note, warn: note, error: note }
    this.stale = new StaleResources({ pods: this.pods, rules: [this.rules], scheduler: this.scheduler, logger })
  }
}

const said =
  /^networkpolicies are not heard of since 2026-03-01T00:00:00\.000Z: .*no right.*; what is in force is of then$/

test.each<[what: string, pods: ReflectorHealth, rules: ReflectorHealth, isTold: boolean, isOutdated: boolean]>([
  ['what is heard of is not stale', alive(40), alive(), false, false],
  ['what fails for less than 30 s is not stale', alive(40), failing(15), false, false],
  [
    'rules that fail for longer are, and pods that came since are not judged by them',
    alive(40),
    failing(5),
    true,
    true,
  ],
  ['where pods fail, too, those that are known go on', failing(38), failing(5), true, false],
  ['where pods were not heard of since, they may be as dead', alive(4), failing(5), true, false],
  ['what was never listed is missing, not stale', alive(40), { ...failing(5), synced: false }, false, false],
  ['a watch that is open is a sign of life', alive(40), { ...failing(5), watching: true }, false, false],
])('%s', async (_what, pods, rules, isTold, isOutdated) => {
  const world = new World()
  world.pods.health = pods
  world.rules.health = rules
  await world.scheduler.advance(40_000)
  expect(world.stale.problems.map((problem) => said.test(problem))).toEqual(isTold ? [true] : [])
  expect(said.test(world.stale.outdated ?? '')).toBe(isOutdated)
})

test('is logged once, and when it is over', async () => {
  const world = new World()
  world.rules.health = failing(0)
  await world.scheduler.advance(40_000)
  world.stale.tell()
  world.stale.tell()
  expect(world.logged).toEqual(['policy.stale'])
  world.rules.health = alive(41)
  world.stale.tell()
  world.stale.tell()
  expect(world.logged).toEqual(['policy.stale', 'policy.stale.gone'])
})
