import type { CoreServices, OciResult } from '../oci/core-services.ts'
import type { OciError } from '../oci/oci-error.ts'
import type { SubnetOcid } from '../oci/ocid.ts'
import { ok, type Result } from '../base/result.ts'
import type { Sleep } from '../oci/sleep.ts'

interface Gate {
  /** Settled when the subnet takes calls again; absent while it does. */
  opening: Promise<Result<void, OciError>> | undefined
  /** Blocks have been taken from it since this process began, so it will not be updated because of the first. */
  hasHadBlock: boolean
}

const pollMs = 500
/** Looks at a subnet that is updating, before its nodes are told that it still is. */
const mostLooks = 60
/** Times that one call finds the subnet, or its VNIC, between states. */
const mostTries = 5

/**
 * The first block that is ever taken from a subnet puts it into UPDATING, and every call about its addresses fails
 * until that is over (reference: OCI limits). So the first block goes alone, and while the subnet is updated one caller
 * asks for its state and all others wait, instead of spending the quota on calls that cannot succeed.
 */
export class SubnetGates {
  readonly #services: Pick<CoreServices, 'getSubnet'>
  readonly #sleep: Sleep
  readonly #gates = new Map<SubnetOcid, Gate>()

  constructor(services: Pick<CoreServices, 'getSubnet'>, sleep: Sleep) {
    this.#services = services
    this.#sleep = sleep
  }

  /** `call` is repeated when it found the subnet closed. */
  async through<T>(
    id: SubnetOcid,
    takes: 'block' | 'address',
    call: () => OciResult<T>,
    signal: AbortSignal,
  ): Promise<Result<T, OciError>> {
    const gate = this.#gate(id)
    for (let tries = 1; ; tries++) {
      while (gate.opening !== undefined) {
        const opened = await gate.opening
        if (!opened.ok) return opened
      }
      signal.throwIfAborted()
      const isFirstBlock = takes === 'block' && !gate.hasHadBlock
      const result = isFirstBlock ? await this.#firstBlock(id, gate, call, signal) : await call()
      if (result.ok || result.error.kind !== 'incorrectState' || tries >= mostTries) return result
      // Several callers find it closed at once: one of them asks, for all. A first block has waited already.
      if (!isFirstBlock) gate.opening ??= this.#untilAvailable(id, signal).finally(() => (gate.opening = undefined))
    }
  }

  async #firstBlock<T>(id: SubnetOcid, gate: Gate, call: () => OciResult<T>, signal: AbortSignal): OciResult<T> {
    const opened = Promise.withResolvers<Result<void, OciError>>()
    gate.opening = opened.promise
    try {
      const result = await call()
      // Somebody else's first block is being made: those who wait here must not come through one by one to find that out.
      if (!result.ok && result.error.kind !== 'incorrectState') return result
      gate.hasHadBlock ||= result.ok
      // Whatever this look ends with, the result stands; the next call sees for itself.
      await this.#untilAvailable(id, signal)
      return result
    } finally {
      gate.opening = undefined
      opened.resolve(ok(undefined))
    }
  }

  async #untilAvailable(id: SubnetOcid, signal: AbortSignal): Promise<Result<void, OciError>> {
    for (let looks = 1; ; looks++) {
      await this.#sleep(pollMs, signal)
      const subnet = await this.#services.getSubnet(id, signal)
      if (!subnet.ok) return subnet
      if (subnet.value.lifecycleState !== 'UPDATING' || looks >= mostLooks) return ok(undefined)
    }
  }

  #gate(id: SubnetOcid): Gate {
    const found = this.#gates.get(id)
    if (found !== undefined) return found
    const gate: Gate = { opening: undefined, hasHadBlock: false }
    this.#gates.set(id, gate)
    return gate
  }
}
