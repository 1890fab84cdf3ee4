import type { AffinityPurge } from '../../proxy/affinity-purge.ts'
import type { Change } from '../../proxy/claims.ts'
import type { Frontend } from '../../proxy/service-table.ts'

/** What is to be done once the kernel has the rules: gathered over as many failures as it takes. */
export class PendingChanges {
  readonly purges: AffinityPurge[] = []
  readonly triggersMs: number[] = []
  readonly #frontends = new Map<string, Change<string, Frontend>>()

  /** From what the kernel had to what it is to have. */
  get frontends(): readonly Change<string, Frontend>[] {
    return [...this.#frontends.values()]
  }

  add(frontends: readonly Change<string, Frontend>[], purges: readonly AffinityPurge[]): void {
    this.purges.push(...purges)
    for (const change of frontends) {
      const earlier = this.#frontends.get(change.key)
      this.#frontends.set(change.key, earlier === undefined ? change : since(earlier, change))
    }
  }
}

function since(earlier: Change<string, Frontend>, { key, after }: Change<string, Frontend>): Change<string, Frontend> {
  const { before } = earlier
  return { key, ...(before !== undefined && { before }), ...(after !== undefined && { after }) }
}
