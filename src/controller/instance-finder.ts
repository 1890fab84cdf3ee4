import { ok } from '../base/result.ts'
import type { CoreServices, Instance, OciResult } from '../oci/core-services.ts'
import type { CompartmentOcid, InstanceOcid } from '../oci/ocid.ts'
import type { Sleep } from '../oci/sleep.ts'

interface Waiter {
  readonly id: InstanceOcid
  readonly settle: (result: Awaited<OciResult<Instance>>) => void
  readonly fail: (error: unknown) => void
}

/** Up to so many instances are asked for one by one; more are looked for in lists of their compartments. */
const askedAlone = 3
const gatherFewMs = 20
const gatherManyMs = 250

/**
 * Instances by their id. When many are asked for at once, as after a storm of launches or a restart, they are found in
 * lists of the compartments that earlier ones were in: a list costs one call of the quota, whatever is in it. Those that
 * are not found there are asked for alone. An answer is never older than its question.
 */
export class InstanceFinder {
  readonly #services: Pick<CoreServices, 'getInstance' | 'listInstances'>
  readonly #sleep: Sleep
  readonly #compartments = new Set<CompartmentOcid>()
  #waiting: Waiter[] = []
  #isServing = false

  constructor(services: Pick<CoreServices, 'getInstance' | 'listInstances'>, sleep: Sleep) {
    this.#services = services
    this.#sleep = sleep
  }

  /** `signal` is the same for everybody who shares this finder. */
  find(id: InstanceOcid, signal: AbortSignal): OciResult<Instance> {
    return new Promise((settle, fail) => {
      this.#waiting.push({ id, settle, fail })
      if (!this.#isServing) void this.#serve(signal)
    })
  }

  async #serve(signal: AbortSignal): Promise<void> {
    this.#isServing = true
    try {
      let asked = 0
      do {
        await this.#sleep(asked > askedAlone ? gatherManyMs : gatherFewMs, signal)
        asked = this.#waiting.length
        await this.#ask(signal)
      } while (this.#waiting.length > 0)
    } catch (error) {
      for (const { fail } of this.#waiting.splice(0)) fail(error)
    } finally {
      this.#isServing = false
    }
  }

  /** Begins to answer all who wait; while no compartment is known, only the first, and waits for that. */
  async #ask(signal: AbortSignal): Promise<void> {
    const batch = this.#waiting.splice(0)
    if (batch.length > askedAlone && this.#compartments.size === 0) {
      const [first, ...others] = batch
      this.#waiting.unshift(...others)
      if (first !== undefined) await this.#answerAlone(first, signal)
      return
    }
    const answered = batch.length > askedAlone ? this.#answerByLists(batch, signal) : this.#answerEach(batch, signal)
    answered.catch((error: unknown) => {
      for (const { fail } of batch) fail(error)
    })
  }

  async #answerByLists(batch: readonly Waiter[], signal: AbortSignal): Promise<void> {
    const found = new Map<InstanceOcid, Instance>()
    for (const compartmentId of this.#compartments) {
      const listed = await this.#services.listInstances({ compartmentId }, signal)
      for (const instance of listed.ok ? listed.value : []) found.set(instance.id, instance)
    }
    const missing: Waiter[] = []
    for (const waiter of batch) {
      const instance = found.get(waiter.id)
      if (instance === undefined) missing.push(waiter)
      else waiter.settle(ok(instance))
    }
    await this.#answerEach(missing, signal)
  }

  async #answerEach(batch: readonly Waiter[], signal: AbortSignal): Promise<void> {
    await Promise.all(batch.map((waiter) => this.#answerAlone(waiter, signal)))
  }

  async #answerAlone({ id, settle, fail }: Waiter, signal: AbortSignal): Promise<void> {
    try {
      const instance = await this.#services.getInstance(id, signal)
      if (instance.ok) this.#compartments.add(instance.value.compartmentId)
      settle(instance)
    } catch (error) {
      fail(error)
    }
  }
}
