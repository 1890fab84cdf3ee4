import { expect } from 'vitest'
import { nativePodNetworks, nodes } from '../../src/kube/resources.ts'
import { terminateInstance } from '../../src/lab/oci-api/instances.ts'
import { differences, podVnicCounts } from './cloud-comparison.ts'
import type { ControlledCloud } from './controlled-cloud.ts'
import { SimulatedAgent } from './simulated-agent.ts'

const patience = { timeout: 40_000, interval: 15 }

/** The stations of a node's life; a test may do something on the way. */
export type Station = 'launched' | 'served' | 'grown' | 'shrunk' | 'gone'

export interface Life {
  readonly name: string
  readonly podsAtMost: number
  /** Most addresses at the end of the shrinking. */
  readonly restsAt: number
  /** More than one only where the cloud said that the first is full. */
  readonly vnicsAtMost?: number
  readonly on?: (station: Station) => void
}

/**
 * A node from its launch to its end: it is served, grows, shrinks and is terminated. In between nothing may be leaked
 * or doubled, and no address may be taken from under a pod.
 */
export async function liveThrough(
  cloud: ControlledCloud,
  { name, podsAtMost, restsAt, vnicsAtMost = 1, on }: Life,
): Promise<void> {
  const { instance, npn } = await cloud.addNode({ name })
  await using agent = new SimulatedAgent(cloud.client, npn)
  on?.('launched')
  await expect.poll(async () => (await cloud.status(npn)).state, patience).toBe('SUCCESS')
  on?.('served')
  agent.pods = podsAtMost
  await expect.poll(() => agent.held.size, patience).toBe(podsAtMost)
  await expect.poll(async () => (await cloud.status(npn)).state, patience).toBe('SUCCESS')
  on?.('grown')
  await expect.poll(() => problems(cloud), patience).toEqual([])
  agent.pods = 1
  await expect.poll(async () => assigned(cloud, npn), patience).toBeLessThanOrEqual(restsAt)
  on?.('shrunk')
  await expect.poll(() => problems(cloud), patience).toEqual([])
  expect(podVnicCounts(cloud.model)).toHaveLength(1)
  expect(podVnicCounts(cloud.model)[0]).toBeLessThanOrEqual(vnicsAtMost)
  expect(agent.violations).toEqual([])
  await agent[Symbol.asyncDispose]()
  terminateInstance(cloud.model, instance.id)
  await cloud.client.delete(nodes, { name }, {}, AbortSignal.timeout(5000))
  await expect.poll(async () => (await listed(cloud)).length, patience).toBe(0)
  on?.('gone')
  await expect.poll(() => podVnicCounts(cloud.model), patience).toEqual([])
}

async function assigned(cloud: ControlledCloud, npn: string): Promise<number> {
  const { elastic, vnics } = await cloud.status(npn)
  return (elastic?.releases.length ?? 0) > 0
    ? Infinity
    : vnics.reduce((sum, { addresses }) => sum + addresses.length, 0)
}

async function problems(cloud: ControlledCloud): Promise<readonly string[]> {
  return differences(cloud.model, await listed(cloud))
}

async function listed(cloud: ControlledCloud) {
  const list = await cloud.client.list(nativePodNetworks, {}, AbortSignal.timeout(5000))
  return list.ok ? list.value.items : []
}
