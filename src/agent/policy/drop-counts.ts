import type { DropReason } from '../../policy/rule-names.ts'

/** Of one interface, as the kernel has counted since its element was made. */
export interface InterfaceDrops {
  readonly ifname: string
  readonly packets: number
}

/** Packets of a pod that were dropped since the agent began to count. */
export interface PodDrops {
  /** `namespace/name`; undefined: interfaces of which nobody knows a pod. */
  readonly pod: string | undefined
  readonly packets: number
}

/** So many pods that are gone are remembered; with 0 dropped packets none. */
const maxDeparted = 1000

/**
 * Sums of what the kernel counts by interface, by pod. The kernel begins at 0 where a table or an element is made anew; these
 * only grow. What was dropped between the last reading and such an end is lost: nobody lists counters to keep them.
 */
export class DropCounts {
  readonly #readings = new Map<DropReason, Map<string, number>>()
  readonly #sums = new Map<DropReason, Map<string, number>>()

  /** Every element of the set of that reason. `podOf` tells whose an interface is. */
  read(
    reason: DropReason,
    drops: readonly InterfaceDrops[],
    podOf: (ifname: string) => string | undefined,
  ): readonly PodDrops[] {
    const before = this.#readings.get(reason)
    const sums = this.#sums.get(reason) ?? new Map<string, number>()
    this.#sums.set(reason, sums)
    const present = new Set<string>()
    for (const { ifname, packets } of drops) {
      const pod = podOf(ifname) ?? ''
      const counted = before?.get(ifname) ?? 0
      const sum = (sums.get(pod) ?? 0) + (packets >= counted ? packets - counted : packets)
      // The one seen last stands last.
      sums.delete(pod)
      sums.set(pod, sum)
      present.add(pod)
    }
    this.#readings.set(reason, new Map(drops.map(({ ifname, packets }) => [ifname, packets])))
    forgetOldest(sums, present)
    return [...sums].map(([pod, packets]) => ({ pod: pod === '' ? undefined : pod, packets }))
  }

  /** The kernel has a new table. */
  restarted(): void {
    this.#readings.clear()
  }

  /** The kernel does not have the interface any more; another one of its name begins at 0. */
  left(ifname: string): void {
    for (const readings of this.#readings.values()) readings.delete(ifname)
  }
}

function forgetOldest(sums: Map<string, number>, present: ReadonlySet<string>): void {
  let departed = sums.size - present.size
  for (const [pod, packets] of sums) {
    if (present.has(pod)) return
    if (packets === 0 || departed > maxDeparted) sums.delete(pod)
    departed--
  }
}
