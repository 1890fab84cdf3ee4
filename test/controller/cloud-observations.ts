// What tests of the controller look at again and again.
import { expect } from 'vitest'
import * as z from 'zod'
import { unwrap } from '../../src/base/result.ts'
import { events, nativePodNetworks } from '../../src/kube/resources.ts'
import { differences } from './cloud-comparison.ts'
import type { ControlledCloud } from './controlled-cloud.ts'

export const patience = { timeout: 20_000, interval: 20 }
export const soon = (): AbortSignal => AbortSignal.timeout(5000)

/** Waits until the controller says that a node has what it wants. */
export async function settled(cloud: ControlledCloud, npn: string): Promise<void> {
  await expect.poll(async () => (await cloud.status(npn)).state, patience).toBe('SUCCESS')
}

/** What the cloud and the cluster do not agree about. */
export async function disagreements(cloud: ControlledCloud): Promise<readonly string[]> {
  return differences(cloud.model, unwrap(await cloud.client.list(nativePodNetworks, {}, soon())).items)
}

const eventSchema = z.object({
  type: z.string(),
  reason: z.string(),
  message: z.string(),
  involvedObject: z.object({ name: z.string() }),
})

/** `type reason: message` of every event about an object. */
export async function eventsAbout(cloud: ControlledCloud, name: string): Promise<readonly string[]> {
  const listed = unwrap(await cloud.client.list(events, {}, soon()))
  const told = listed.items.map(({ raw }) => eventSchema.parse(raw)).filter((one) => one.involvedObject.name === name)
  return told.map(({ type, reason, message }) => `${type} ${reason}: ${message}`)
}
