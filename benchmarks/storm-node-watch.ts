import { listAt, textAt } from '../src/lab/kube-api/objects.ts'
import type { Store, StoreEvent } from '../src/lab/kube-api/store.ts'

export interface Progress {
  readonly nodes: number
  /** In state SUCCESS now. */
  readonly succeeded: number
  /** How many are in each state; '' is before the first one. */
  readonly states: Readonly<Record<string, number>>
  /** When the last node, and the middle one, came into SUCCESS for the first time. */
  readonly lastSuccessMs: number
  readonly medianSuccessMs: number
  /** When the last node's resource showed enough addresses; absent while one has too few. */
  readonly enoughMs?: number
}

interface Seen {
  state: string
  successMs: number | undefined
  enoughMs: number | undefined
}

/** Hears of every version of every NativePodNetwork the moment it is stored. Times are from `begin`. */
export class NodeWatch implements Disposable {
  readonly #nodes = new Map<string, Seen>()
  readonly #subscription: Disposable
  #enough = Infinity
  #beganMs = 0

  constructor(store: Store) {
    this.#subscription = store.subscribe((event) => this.#saw(event))
  }

  /** What counts from now on: these nodes (by their resources' names), and so many addresses of each. */
  begin(npns: readonly string[], enough: number): void {
    this.#beganMs = performance.now()
    this.#enough = enough
    this.#nodes.clear()
    for (const npn of npns) this.#nodes.set(npn, { state: '', successMs: undefined, enoughMs: undefined })
  }

  progress(): Progress {
    const seen = [...this.#nodes.values()]
    const successes = seen.flatMap(({ successMs }) => successMs ?? []).toSorted((a, b) => a - b)
    const enough = seen.flatMap(({ enoughMs }) => enoughMs ?? [])
    const states: Record<string, number> = {}
    for (const { state } of seen) states[state] = (states[state] ?? 0) + 1
    return {
      nodes: seen.length,
      succeeded: states['SUCCESS'] ?? 0,
      states,
      lastSuccessMs: successes.at(-1) ?? 0,
      medianSuccessMs: successes[Math.floor(successes.length / 2)] ?? 0,
      ...(enough.length === seen.length && { enoughMs: Math.max(...enough) }),
    }
  }

  [Symbol.dispose](): void {
    this.#subscription[Symbol.dispose]()
  }

  #saw({ object, type }: StoreEvent): void {
    if (object.kind !== 'NativePodNetwork' || type === 'DELETED') return
    const seen = this.#nodes.get(object.metadata.name)
    if (seen === undefined) return
    const atMs = performance.now() - this.#beganMs
    seen.state = textAt(object, 'status', 'state')
    if (seen.state === 'SUCCESS') seen.successMs ??= atMs
    const vnics = listAt(object, 'status', 'vnics')
    const addresses = vnics.reduce<number>((sum, vnic) => sum + listAt(vnic, 'addresses').length, 0)
    if (addresses >= this.#enough) seen.enoughMs ??= atMs
  }
}
