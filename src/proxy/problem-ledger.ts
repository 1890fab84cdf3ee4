import type { ServiceProblem } from './service-table.ts'

/** Remembers what is wrong and where that was found, so that each problem is told once however often it is found again. */
export class ProblemLedger {
  readonly #bySource = new Map<string, readonly ServiceProblem[]>()
  readonly #known = new Map<string, { readonly problem: ServiceProblem; count: number }>()
  #before = new Map<string, ServiceProblem | undefined>()

  /** Replaces what `source` has found: the key of a Service, of a frontend, of a health check; no two are alike. */
  set(source: string, problems: readonly ServiceProblem[]): void {
    const previous = this.#bySource.get(source) ?? []
    if (previous.length === 0 && problems.length === 0) return
    for (const problem of problems) this.#count(problem, 1)
    for (const problem of previous) this.#count(problem, -1)
    if (problems.length === 0) this.#bySource.delete(source)
    else this.#bySource.set(source, problems)
  }

  current(): readonly ServiceProblem[] {
    return [...this.#known].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, { problem }]) => problem)
  }

  /** Since the last call. */
  takeChanges(): { readonly found: readonly ServiceProblem[]; readonly solved: readonly ServiceProblem[] } {
    const changes = [...this.#before].sort(([a], [b]) => (a < b ? -1 : 1))
    this.#before = new Map()
    return {
      found: changes.flatMap(([identity, before]) => (before === undefined ? this.#at(identity) : [])),
      solved: changes.flatMap(([identity, before]) =>
        before !== undefined && !this.#known.has(identity) ? [before] : [],
      ),
    }
  }

  #at(identity: string): readonly ServiceProblem[] {
    const known = this.#known.get(identity)
    return known === undefined ? [] : [known.problem]
  }

  #count(problem: ServiceProblem, change: 1 | -1): void {
    const identity = identityOf(problem)
    const known = this.#known.get(identity)
    if (!this.#before.has(identity)) this.#before.set(identity, known?.problem)
    const count = (known?.count ?? 0) + change
    if (count === 0) this.#known.delete(identity)
    else if (known === undefined) this.#known.set(identity, { problem, count })
    else known.count = count
  }
}

// Endpoints move about in their slice with every change of it; the problem of one stays the same.
function identityOf({ service, slice = '', field, problem }: ServiceProblem): string {
  return [service, slice, field.replace(/^endpoints\[\d+\]/, 'endpoints[]'), problem].join('\n')
}
