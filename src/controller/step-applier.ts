import { ok } from '../base/result.ts'
import { AddressSteps } from './address-steps.ts'
import type { NodeHandle } from './node-handle.ts'
import type { Step } from './node-plan.ts'
import type { NodeObservation } from './observation.ts'
import type { StepFailure } from './step-failure.ts'
import type { Applied, StepResources } from './step-resources.ts'
import { VnicSteps } from './vnic-steps.ts'

/** Carries out the steps of a plan, those of one plan at the same time. */
export class StepApplier {
  readonly #vnics: VnicSteps
  readonly #addresses: AddressSteps

  constructor(resources: StepResources) {
    this.#vnics = new VnicSteps(resources)
    this.#addresses = new AddressSteps(resources)
  }

  async apply(
    steps: readonly Step[],
    observed: NodeObservation,
    node: NodeHandle,
    signal: AbortSignal,
  ): Promise<readonly StepFailure[]> {
    const applied = await Promise.all(steps.map((step, index) => this.#apply(step, index, observed, node, signal)))
    return applied.flatMap((one) => (one.ok ? [] : [one.error]))
  }

  #apply(
    step: Step,
    index: number,
    observed: NodeObservation,
    node: NodeHandle,
    signal: AbortSignal,
  ): Promise<Applied> {
    switch (step.kind) {
      case 'awaitAttachment':
        return Promise.resolve(ok(undefined))
      case 'attach':
        return this.#vnics.attach(step, observed, node, signal)
      case 'updateVnic':
        return this.#vnics.updateVnic(step, node, signal)
      case 'createBlock':
        return this.#addresses.createBlock(step.vnic, index, observed, node, signal)
      case 'createAddresses':
        return this.#addresses.createAddresses(step, index, observed, node, signal)
      case 'delete':
        return this.#addresses.delete(step.object, node, signal)
    }
  }
}
