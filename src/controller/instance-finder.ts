import { ok } from '../base/result.ts'
import type { CoreServices, Instance, OciResult } from '../oci/core-services.ts'
import type { CompartmentOcid, InstanceOcid } from '../oci/ocid.ts'
import type { Sleep } from '../oci/sleep.ts'
import { askedAlone, QuestionGatherer, type Waiter } from './question-gatherer.ts'

type Found = Awaited<OciResult<Instance>>
type Seeker = Waiter<InstanceOcid, Found>

/**
 * Instances by their id. When many are asked for at once, as after a storm of launches or a restart, they are found in
 * lists of the compartments that earlier ones were in: a list costs one call of the quota, whatever is in it. Those that
 * are not found there are asked for alone.
 */
export class InstanceFinder {
  readonly #services: Pick<CoreServices, 'getInstance' | 'listInstances'>
  readonly #gatherer: QuestionGatherer<InstanceOcid, Found>
  readonly #compartments = new Set<CompartmentOcid>()

  constructor(services: Pick<CoreServices, 'getInstance' | 'listInstances'>, sleep: Sleep) {
    this.#services = services
    this.#gatherer = new QuestionGatherer((batch, signal) => this.#answer(batch, signal), sleep)
  }

  /** `signal` is the same for everybody who shares this finder. */
  find(id: InstanceOcid, signal: AbortSignal): OciResult<Instance> {
    return this.#gatherer.ask(id, signal)
  }

  async #answer(batch: readonly Seeker[], signal: AbortSignal): Promise<void> {
    const left = [...batch]
    // Which compartment to list is only known from an instance that was found alone.
    while (left.length > askedAlone && this.#compartments.size === 0) {
      await this.#answerEach(left.splice(0, 1), signal)
    }
    if (left.length <= askedAlone) await this.#answerEach(left, signal)
    else await this.#answerByLists(left, signal)
  }

  async #answerByLists(batch: readonly Seeker[], signal: AbortSignal): Promise<void> {
    const found = new Map<InstanceOcid, Instance>()
    for (const compartmentId of this.#compartments) {
      const listed = await this.#services.listInstances({ compartmentId }, signal)
      for (const instance of listed.ok ? listed.value : []) found.set(instance.id, instance)
    }
    const missing: Seeker[] = []
    for (const seeker of batch) {
      const instance = found.get(seeker.question)
      if (instance === undefined) missing.push(seeker)
      else seeker.settle(ok(instance))
    }
    await this.#answerEach(missing, signal)
  }

  async #answerEach(batch: readonly Seeker[], signal: AbortSignal): Promise<void> {
    await Promise.all(batch.map((seeker) => this.#answerAlone(seeker, signal)))
  }

  async #answerAlone({ question: id, settle, fail }: Seeker, signal: AbortSignal): Promise<void> {
    try {
      const instance = await this.#services.getInstance(id, signal)
      if (instance.ok) this.#compartments.add(instance.value.compartmentId)
      settle(instance)
    } catch (error) {
      fail(error)
    }
  }
}
