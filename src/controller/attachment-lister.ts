import { err, ok } from '../base/result.ts'
import type { CoreServices, OciResult, VnicAttachment } from '../oci/core-services.ts'
import type { CompartmentOcid, InstanceOcid } from '../oci/ocid.ts'
import type { Sleep } from '../oci/sleep.ts'

interface Waiter {
  readonly instanceId: InstanceOcid
  readonly settle: (result: Awaited<OciResult<readonly VnicAttachment[]>>) => void
  readonly fail: (error: unknown) => void
}

/** Up to so many nodes are asked for one by one; more are found in one list of their compartment. */
const askedAlone = 3
/** How long a question waits for others to come along: longer while many do. */
const gatherFewMs = 20
const gatherManyMs = 250

/**
 * VNIC attachments of instances. Many nodes asking at once, as they do when they were launched together, share lists of
 * the whole compartment: the quota is the tenancy's, and a thousand nodes that wait for their attach would use it up.
 * An answer is never older than its question.
 */
export class AttachmentLister {
  readonly #services: Pick<CoreServices, 'listVnicAttachments'>
  readonly #sleep: Sleep
  readonly #waiting = new Map<CompartmentOcid, Waiter[]>()

  constructor(services: Pick<CoreServices, 'listVnicAttachments'>, sleep: Sleep) {
    this.#services = services
    this.#sleep = sleep
  }

  /** `signal` is the same for everybody who shares this lister. */
  list(
    compartmentId: CompartmentOcid,
    instanceId: InstanceOcid,
    signal: AbortSignal,
  ): OciResult<readonly VnicAttachment[]> {
    return new Promise((settle, fail) => {
      const waiter = { instanceId, settle, fail }
      const waiting = this.#waiting.get(compartmentId)
      if (waiting !== undefined) {
        waiting.push(waiter)
        return
      }
      this.#waiting.set(compartmentId, [waiter])
      void this.#serve(compartmentId, signal)
    })
  }

  // Runs while anybody waits for this compartment. A list does not wait for the one before it: an answer that is late
  // holds up those who asked for it, and nobody else.
  async #serve(compartmentId: CompartmentOcid, signal: AbortSignal): Promise<void> {
    try {
      let asked = 0
      do {
        await this.#sleep(asked > askedAlone ? gatherManyMs : gatherFewMs, signal)
        asked = this.#ask(compartmentId, signal)
      } while (asked > 0)
      this.#waiting.delete(compartmentId)
    } catch (error) {
      const left = this.#waiting.get(compartmentId) ?? []
      this.#waiting.delete(compartmentId)
      for (const { fail } of left) fail(error)
    }
  }

  /** Begins to answer all who wait, and returns how many they are. */
  #ask(compartmentId: CompartmentOcid, signal: AbortSignal): number {
    const batch = this.#waiting.get(compartmentId) ?? []
    this.#waiting.set(compartmentId, [])
    if (batch.length === 0) return 0
    this.#answer(compartmentId, batch, signal).catch((error: unknown) => {
      for (const { fail } of batch) fail(error)
    })
    return batch.length
  }

  async #answer(compartmentId: CompartmentOcid, batch: readonly Waiter[], signal: AbortSignal): Promise<void> {
    if (batch.length <= askedAlone) {
      const asked = batch.map(async ({ instanceId, settle }) => {
        settle(await this.#services.listVnicAttachments({ compartmentId, instanceId }, signal))
      })
      await Promise.all(asked)
      return
    }
    const listed = await this.#services.listVnicAttachments({ compartmentId }, signal)
    if (!listed.ok) {
      for (const { settle } of batch) settle(err(listed.error))
      return
    }
    const byInstance = Map.groupBy(listed.value, ({ instanceId }) => instanceId)
    for (const { instanceId, settle } of batch) settle(ok(byInstance.get(instanceId) ?? []))
  }
}
