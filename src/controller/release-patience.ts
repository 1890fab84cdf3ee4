import type { AddressRelease } from '../kube/native-pod-network-status.ts'
import type { PrivateIpOcid } from '../oci/ocid.ts'
import { addressesOf, type ObservedVnic } from './observation.ts'

/** How long an object that was not confirmed in time is left alone. */
const leftAloneMs = 600_000

/**
 * Remembers since when objects have been marked. A mark is taken back when its time is up: an address of the object is
 * in use, which only the agent knows, and another object may be free.
 */
export class ReleasePatience {
  readonly #patienceMs: number
  readonly #markedSince = new Map<PrivateIpOcid, number>()
  readonly #leftAloneUntil = new Map<PrivateIpOcid, number>()

  constructor(patienceMs: number) {
    this.#patienceMs = patienceMs
  }

  /** Objects whose marks are to be taken back, or not to be made. `releases` is what the status says now. */
  reluctant(
    vnics: readonly ObservedVnic[],
    releases: readonly AddressRelease[],
    nowMs: number,
  ): ReadonlySet<PrivateIpOcid> {
    const entries = new Map(releases.map(({ address, state }) => [address, state]))
    const objects = vnics.flatMap((one) => one.objects)
    const present = new Set(objects.map(({ id }) => id))
    // What is gone will never be confirmed, and would be looked at again at once, for ever.
    for (const id of this.#markedSince.keys()) if (!present.has(id)) this.#markedSince.delete(id)
    for (const object of objects) {
      const states = addressesOf(object).map((address) => entries.get(address))
      if (!states.includes('Marked')) this.#markedSince.delete(object.id)
      else if (!this.#markedSince.has(object.id)) this.#markedSince.set(object.id, nowMs)
      const sinceMs = this.#markedSince.get(object.id) ?? nowMs
      if (nowMs - sinceMs >= this.#patienceMs) this.#leftAloneUntil.set(object.id, nowMs + leftAloneMs)
    }
    for (const [id, untilMs] of this.#leftAloneUntil) if (untilMs <= nowMs) this.#leftAloneUntil.delete(id)
    return new Set(this.#leftAloneUntil.keys())
  }

  /** When the next mark will be taken back. */
  nextMs(nowMs: number): number | undefined {
    const times = [...this.#markedSince.values()].map((sinceMs) => sinceMs + this.#patienceMs - nowMs)
    return times.length === 0 ? undefined : Math.max(0, Math.min(...times))
  }
}
