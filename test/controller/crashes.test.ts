import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { FaultAnswer, SeenRequest } from '../../src/lab/kube-api/faults.ts'
import { type Random, seededRandom } from '../../src/lab/random.ts'
import { FaultPlan } from '../../src/lab/oci-api/faults.ts'
import { podVnicCounts } from './cloud-comparison.ts'
import { disagreements } from './cloud-observations.ts'
import { ControlledCloud } from './controlled-cloud.ts'
import { liveThrough } from './life-cycle.ts'
import { SimulatedAgent } from './simulated-agent.ts'
import { mapBounded } from '../../src/lab/bounded.ts'

const patience = { timeout: 60_000, interval: 20 }

describe('a controller that is killed again and again while its nodes grow and shrink', () => {
  test.each([
    [1, true],
    [2, true],
    [3, false],
    [4, false],
  ])('seed %i, blocks preferred: %s', { timeout: 120_000 }, async (seed, preferBlocks) => {
    const random = seededRandom(seed)
    const lostAnswers = new FaultPlan(
      [{ when: { kind: 'probability', probability: 0.1 }, fault: { kind: 'lostAnswer' } }],
      seed,
    )
    await using cloud = await ControlledCloud.start({ elastic: { preferBlocks }, api: { faults: lostAnswers } })
    await using stack = new AsyncDisposableStack()
    const agents: SimulatedAgent[] = []
    const npns: string[] = []
    for (const name of ['worker-1', 'worker-2', 'worker-3']) {
      const { npn } = await cloud.addNode({ name })
      npns.push(npn)
      agents.push(stack.use(new SimulatedAgent(cloud.client, npn)))
    }
    for (let kill = 0; kill < 25; kill++) {
      const { stop } = await cloud.startController()
      for (const agent of agents) agent.pods = Math.floor(random() * (preferBlocks ? 40 : 10))
      await sleep(20 + random() * 200)
      await stop()
    }
    cloud.oci.setFaults(new FaultPlan([], 0))
    await cloud.startController()
    await expect.poll(() => agents.map(({ held, pods }) => held.size - pods), patience).toEqual([0, 0, 0])
    for (const npn of npns) {
      await expect.poll(async () => (await cloud.status(npn)).state, patience).toBe('SUCCESS')
    }
    await expect.poll(() => disagreements(cloud), patience).toEqual([])
    expect(podVnicCounts(cloud.model)).toEqual([1, 1, 1])
    expect(agents.flatMap(({ violations }) => violations)).toEqual([])
  })
})

describe('a node gets there, and nothing is leaked or doubled, when the Kubernetes API fails', () => {
  const ways: Readonly<Record<string, FaultAnswer>> = {
    'refuses with 409': { kind: 'status', code: 409, reason: 'Conflict' },
    'refuses with 403': { kind: 'status', code: 403, reason: 'Forbidden' },
    'is overloaded (429)': { kind: 'status', code: 429, retryAfterSeconds: 1 },
    'fails (500)': { kind: 'status', code: 500 },
    'resets the connection': { kind: 'reset' },
    'loses its answer': { kind: 'lost-answer' },
    'is late': { kind: 'delay', delayMs: 500 },
  }
  const requests: Readonly<Record<string, (request: SeenRequest) => boolean>> = {
    'the creation of the resource': ({ method, path }) => method === 'POST' && path.endsWith('/nativepodnetworks'),
    'a write of the status': ({ method, path }) => method === 'PATCH' && path.endsWith('/status'),
    'a list of resources': ({ method, path, query }) =>
      method === 'GET' && path.endsWith('/nativepodnetworks') && !query.includes('watch='),
    'a watch of resources': ({ method, path, query }) =>
      method === 'GET' && path.endsWith('/nativepodnetworks') && query.includes('watch='),
    'a list of nodes': ({ method, path, query }) =>
      method === 'GET' && path.endsWith('/nodes') && !query.includes('watch='),
    'an event': ({ method, path }) => method === 'POST' && path.endsWith('/events'),
  }
  test.each(Object.keys(requests))('at %s', { timeout: 300_000 }, async (what) => {
    const matches = requests[what]
    if (matches === undefined) throw new Error(`no request ${what}`)
    const cases = Object.entries(ways).flatMap(([way, answer]) => [1, 3].map((times) => ({ way, answer, times })))
    const failures = await mapBounded(cases, 6, async ({ way, answer, times }) => {
      await using cloud = await ControlledCloud.start()
      cloud.kube.faults.add({ matches, answer, times })
      await cloud.startController()
      try {
        await liveThrough(cloud, { name: 'worker-1', podsAtMost: 20, restsAt: 16 })
        return []
      } catch (error) {
        return [`${way} (${times} times): ${error instanceof Error ? error.message : String(error)}`]
      }
    })
    expect(failures.flat()).toEqual([])
  })
})

test('a cloud and a Kubernetes API that both fail at random', { timeout: 180_000 }, async () => {
  const random: Random = seededRandom(7)
  const fault = (kind: 'reset' | 'lostAnswer' | 'truncated') =>
    ({ when: { kind: 'probability', probability: 0.05 }, fault: { kind } }) as const
  const plan = new FaultPlan([fault('reset'), fault('lostAnswer'), fault('truncated')], 7)
  await using cloud = await ControlledCloud.start({ api: { faults: plan } })
  const strikes = (): boolean => random() < 0.1
  const isWrite = ({ method, path }: SeenRequest): boolean => method === 'PATCH' && path.includes('/nativepodnetworks/')
  cloud.kube.faults.add({
    matches: (request) => isWrite(request) && strikes(),
    answer: { kind: 'lost-answer' },
    times: Infinity,
  })
  await cloud.startController()
  await liveThrough(cloud, { name: 'worker-1', podsAtMost: 30, restsAt: 16 })
  await liveThrough(cloud, { name: 'worker-2', podsAtMost: 50, restsAt: 16 })
})
