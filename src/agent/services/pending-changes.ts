import type { AffinityPurge } from '../../proxy/affinity-purge.ts'
import type { Change } from '../../proxy/claims.ts'
import type { Frontend } from '../../proxy/service-table.ts'

/** How many changes' latencies are told: a kernel that refuses for days is no reason to remember them all. */
const maxTriggers = 10_000

/** What is to be done once the kernel has the rules: gathered over as many failures as it takes, in bounded memory. */
export class PendingChanges {
  readonly #frontends = new Map<string, Change<string, Frontend>>()
  /** Whose flows are older than what is known of them. */
  readonly #unknown = new Set<string>()
  readonly #triggersMs: number[] = []
  /** Undefined: not of single changes any more. */
  #purges: AffinityPurge[] | undefined = []

  /** From what the kernel had to what it is to have. */
  get frontends(): readonly Change<string, Frontend>[] {
    return [...this.#frontends.values()]
  }

  /** The same for who looks at flows: without `before` where all of a frontend's are to be looked at. */
  get flows(): readonly Change<string, Frontend>[] {
    return this.frontends.map((change) => (this.#unknown.has(change.key) ? since({ key: change.key }, change) : change))
  }

  /** Undefined: those of all frontends, present and past. */
  get purges(): readonly AffinityPurge[] | undefined {
    return this.#purges
  }

  /** The oldest ones. */
  get triggersMs(): readonly number[] {
    return this.#triggersMs
  }

  add(frontends: readonly Change<string, Frontend>[], purges: readonly AffinityPurge[]): void {
    this.#purges?.push(...purges)
    for (const change of frontends) {
      const earlier = this.#frontends.get(change.key)
      const whole = earlier === undefined ? change : since(earlier, change)
      if (whole.before !== undefined || whole.after !== undefined) this.#frontends.set(change.key, whole)
      // It came and went without the kernel.
      else this.#forget(change.key)
    }
  }

  /** All flows to these frontends of now are to be looked at, as when they were new. */
  addUnknown(frontends: readonly Frontend[]): void {
    for (const frontend of frontends) {
      const { key } = frontend
      this.#unknown.add(key)
      if (!this.#frontends.has(key)) this.#frontends.set(key, { key, before: frontend, after: frontend })
    }
  }

  addTriggers(triggersMs: readonly number[]): void {
    for (const triggerMs of triggersMs.slice(0, maxTriggers - this.#triggersMs.length)) this.#triggersMs.push(triggerMs)
  }

  /** If that fails, the purges of single changes would be ever more: from then on they are those of all frontends. */
  tried(): void {
    this.#purges = undefined
  }

  #forget(key: string): void {
    this.#frontends.delete(key)
    this.#unknown.delete(key)
  }
}

function since(earlier: Change<string, Frontend>, { key, after }: Change<string, Frontend>): Change<string, Frontend> {
  const { before } = earlier
  return { key, ...(before !== undefined && { before }), ...(after !== undefined && { after }) }
}
