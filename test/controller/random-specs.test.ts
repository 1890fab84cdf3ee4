import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { unwrap } from '../../src/base/result.ts'
import type { JsonValue } from '../../src/kube/object.ts'
import { nativePodNetworks } from '../../src/kube/resources.ts'
import { seededRandom } from '../../src/lab/random.ts'
import { disagreements, patience, settled, soon } from './cloud-observations.ts'
import { ControlledCloud } from './controlled-cloud.ts'
import { SimulatedAgent } from './simulated-agent.ts'

describe('a spec that is changed at random while pods come and go', () => {
  test.each([1, 2, 3])('seed %i', { timeout: 90_000 }, async (seed) => {
    const random = seededRandom(seed)
    const pick = <T>(first: T, ...others: readonly T[]): T =>
      [first, ...others][Math.floor(random() * (others.length + 1))] ?? first
    await using cloud = await ControlledCloud.start({
      settings: { addressesPerVnic: pick(8, 31, 64) },
      podSubnets: ['10.0.4.0/26', '10.0.6.0/24'],
      config: { resyncSeconds: 2 },
    })
    const { npn } = await cloud.addNode({ name: 'worker-1', ocpus: 6 })
    await using agent = new SimulatedAgent(cloud.client, npn)
    let running = await cloud.startController()
    await settled(cloud, npn)
    const [a = '', b = ''] = cloud.podSubnets.map(({ id }): string => id)
    for (let step = 0; step < 25; step++) {
      const minimumAddresses = pick(0, 4, 20)
      const spec = {
        podSubnetIds: pick([a, b], [b, a], [b]),
        networkSecurityGroupIds: pick([], [cloud.nsg.id]),
        maxPodCount: pick(5, 31, 60),
        elastic: {
          mode: pick('Elastic', 'Compatible'),
          preferBlocks: pick(true, false, null),
          minimumAddresses,
          warmAddresses: pick(1, 8),
          maximumAddresses: pick(20, 60, null),
        },
        secondaryVnics: pick<JsonValue>(null, null, [
          { displayName: 'one', createVnicDetails: { subnetId: b, ipCount: 10 } },
          { displayName: 'two', createVnicDetails: { subnetId: a } },
        ]),
      }
      const patched = await cloud.client.patch(
        nativePodNetworks,
        { name: npn },
        { type: 'merge', body: { spec } },
        soon(),
      )
      if (!patched.ok) throw new Error(patched.error.message)
      agent.pods = pick(0, 1, 5, 12, 18)
      await sleep(50 + random() * 500)
      if (random() < 0.2) {
        await running.stop()
        running = await cloud.startController()
      }
    }
    const spec = {
      podSubnetIds: [b],
      networkSecurityGroupIds: [cloud.nsg.id],
      maxPodCount: 60,
      elastic: { mode: 'Elastic', preferBlocks: false, minimumAddresses: 4, warmAddresses: 4, maximumAddresses: null },
      secondaryVnics: null,
    }
    unwrap(await cloud.client.patch(nativePodNetworks, { name: npn }, { type: 'merge', body: { spec } }, soon()))
    agent.pods = 12
    await expect.poll(() => agent.held.size, patience).toBe(12)
    const how = async (): Promise<string> => {
      const s = await cloud.status(npn)
      return s.state === 'SUCCESS'
        ? 'SUCCESS'
        : JSON.stringify(s.conditions.map(({ type, reason, message }) => [type, reason, message]))
    }
    await expect.poll(how, patience).toBe('SUCCESS')
    await expect.poll(() => disagreements(cloud), patience).toEqual([])
    expect(agent.violations).toEqual([])
  })
})
