import type { Clock } from '../base/clock.ts'
import type { InstanceOcid, SubnetOcid, VnicOcid } from '../oci/ocid.ts'
import type { KnownLimits } from './node-plan.ts'

type Refusal =
  | { readonly kind: 'noBlocks' | 'noAddresses'; readonly id: SubnetOcid }
  | { readonly kind: 'vnicFull'; readonly id: VnicOcid }
  | { readonly kind: 'instanceFull'; readonly id: InstanceOcid }

/** What the cloud had no room for lately, for all nodes: a full subnet need not be asked by each of them. */
export class RefusalMemory {
  readonly #clock: Clock
  readonly #believedMs: number
  readonly #refusals = new Map<string, { readonly refusal: Refusal; readonly untilMs: number }>()

  /** `believedMs`: addresses are given back all the time, and a full subnet may soon have room again. */
  constructor(clock: Clock, believedMs: number) {
    this.#clock = clock
    this.#believedMs = believedMs
  }

  remember(refusal: Refusal): void {
    const untilMs = this.#clock.monotonicMs() + this.#believedMs
    this.#refusals.set(`${refusal.kind} ${refusal.id}`, { refusal, untilMs })
  }

  /** Something was given back to the subnet. */
  forgetSubnet(id: SubnetOcid): void {
    this.#refusals.delete(`noBlocks ${id}`)
    this.#refusals.delete(`noAddresses ${id}`)
  }

  limitsFor(instanceId: InstanceOcid): KnownLimits {
    const nowMs = this.#clock.monotonicMs()
    const subnetsWithoutBlocks = new Set<SubnetOcid>()
    const subnetsWithoutAddresses = new Set<SubnetOcid>()
    const fullVnics = new Set<VnicOcid>()
    let instanceFull = false
    for (const [key, { refusal, untilMs }] of this.#refusals) {
      if (untilMs <= nowMs) this.#refusals.delete(key)
      else if (refusal.kind === 'noBlocks') subnetsWithoutBlocks.add(refusal.id)
      else if (refusal.kind === 'noAddresses') subnetsWithoutAddresses.add(refusal.id)
      else if (refusal.kind === 'vnicFull') fullVnics.add(refusal.id)
      else instanceFull ||= refusal.id === instanceId
    }
    return { subnetsWithoutBlocks, subnetsWithoutAddresses, fullVnics, instanceFull }
  }
}
