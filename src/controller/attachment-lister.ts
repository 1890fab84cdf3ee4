import { err, ok } from '../base/result.ts'
import type { CoreServices, OciResult, VnicAttachment } from '../oci/core-services.ts'
import type { CompartmentOcid, InstanceOcid } from '../oci/ocid.ts'
import type { Sleep } from '../oci/sleep.ts'
import { askedAlone, QuestionGatherer, type Waiter } from './question-gatherer.ts'

type Listed = Awaited<OciResult<readonly VnicAttachment[]>>

/** VNIC attachments of instances. Many nodes that ask at once share lists of the whole compartment. */
export class AttachmentLister {
  readonly #services: Pick<CoreServices, 'listVnicAttachments'>
  readonly #sleep: Sleep
  readonly #gatherers = new Map<CompartmentOcid, QuestionGatherer<InstanceOcid, Listed>>()

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
    const gatherer =
      this.#gatherers.get(compartmentId) ??
      new QuestionGatherer((batch, until) => this.#answer(compartmentId, batch, until), this.#sleep)
    this.#gatherers.set(compartmentId, gatherer)
    return gatherer.ask(instanceId, signal)
  }

  async #answer(
    compartmentId: CompartmentOcid,
    batch: readonly Waiter<InstanceOcid, Listed>[],
    signal: AbortSignal,
  ): Promise<void> {
    if (batch.length <= askedAlone) {
      const asked = batch.map(async ({ question: instanceId, settle }) => {
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
    for (const { question, settle } of batch) settle(ok(byInstance.get(question) ?? []))
  }
}
