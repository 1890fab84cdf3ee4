import type { Clock } from '../base/clock.ts'
import { type Ipv4, ipv4ToNumber } from '../base/ip.ts'
import { ok } from '../base/result.ts'
import type { CoreServices, OciResult, PrivateIp } from '../oci/core-services.ts'
import type { SubnetOcid } from '../oci/ocid.ts'
import { type ChoiceInput, chooseAddresses } from './address-choice.ts'
import { addressesOf } from './observation.ts'

/** After this long a subnet is listed again: others take addresses from it, too. */
const freshMs = 600_000

interface Space {
  readonly taken: Set<number>
  readonly atMs: number
}

/**
 * What is taken in the subnets that single addresses come from, so that they can be chosen. Only a guess: the cloud
 * decides, and whoever was told that an address is taken says so here.
 */
export class SubnetSpaces {
  readonly #services: Pick<CoreServices, 'listPrivateIps'>
  readonly #clock: Clock
  readonly #refusalMs: number
  readonly #spaces = new Map<SubnetOcid, OciResult<Space>>()
  /** Until when, by number. Subnets of one VCN do not overlap. */
  readonly #refused = new Map<number, number>()

  /** `refusalMs`: an address that the cloud does not list, and yet refuses, is not asked for again for so long. */
  constructor(services: Pick<CoreServices, 'listPrivateIps'>, clock: Clock, refusalMs: number) {
    this.#services = services
    this.#clock = clock
    this.#refusalMs = refusalMs
  }

  /** Reserved for the caller: nobody else is given them until they are `release`d. */
  async reserve(id: SubnetOcid, wish: Omit<ChoiceInput, 'taken'>, signal: AbortSignal): OciResult<readonly Ipv4[]> {
    const startMs = this.#clock.monotonicMs()
    const first = await this.#choose(id, wish, startMs - freshMs, signal)
    // Full as far as is known: others may have given something back since.
    return first.ok && first.value.length === 0 ? this.#choose(id, wish, startMs, signal) : first
  }

  /** Somebody has it, whether it is in the lists or not. */
  refuse(address: Ipv4): void {
    this.#refused.set(ipv4ToNumber(address), this.#clock.monotonicMs() + this.#refusalMs)
  }

  async release(id: SubnetOcid, addresses: readonly Ipv4[]): Promise<void> {
    const space = await this.#spaces.get(id)
    if (space?.ok !== true) return
    for (const address of addresses) space.value.taken.delete(ipv4ToNumber(address))
  }

  /** Also what others did: blocks are placed by the cloud. */
  async note(object: PrivateIp): Promise<void> {
    const space = await this.#spaces.get(object.subnetId)
    if (space?.ok !== true) return
    for (const address of addressesOf(object)) space.value.taken.add(ipv4ToNumber(address))
  }

  async #choose(
    id: SubnetOcid,
    wish: Omit<ChoiceInput, 'taken'>,
    notBeforeMs: number,
    signal: AbortSignal,
  ): OciResult<readonly Ipv4[]> {
    const space = await this.#space(id, notBeforeMs, signal)
    if (!space.ok) return space
    const { taken } = space.value
    const nowMs = this.#clock.monotonicMs()
    for (const [number, untilMs] of this.#refused) if (untilMs <= nowMs) this.#refused.delete(number)
    const either = { has: (number: number) => taken.has(number) || this.#refused.has(number) }
    const chosen = chooseAddresses({ ...wish, taken: either })
    for (const address of chosen) taken.add(ipv4ToNumber(address))
    return ok(chosen)
  }

  async #space(id: SubnetOcid, notBeforeMs: number, signal: AbortSignal): OciResult<Space> {
    const known = this.#spaces.get(id)
    if (known !== undefined) {
      const space = await known
      if (space.ok && space.value.atMs >= notBeforeMs) return space
      // Somebody else may have asked meanwhile.
      if (this.#spaces.get(id) !== known) return this.#space(id, notBeforeMs, signal)
    }
    const asked = this.#list(id, signal)
    this.#spaces.set(id, asked)
    return asked
  }

  async #list(id: SubnetOcid, signal: AbortSignal): OciResult<Space> {
    const atMs = this.#clock.monotonicMs()
    const listed = await this.#services.listPrivateIps({ subnetId: id }, signal)
    if (!listed.ok) return listed
    return ok({ taken: new Set(listed.value.flatMap(addressesOf).map((address) => ipv4ToNumber(address))), atMs })
  }
}
