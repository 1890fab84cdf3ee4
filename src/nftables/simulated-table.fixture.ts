// nf_tables as a model: carries out changes and refuses what the kernel would refuse.
import type { Change } from './change.ts'
import { iterateElements } from './elements.ts'
import type { Table } from './model.ts'
import { renderRule } from './render-statement.ts'
import { renderSetDeclaration } from './render.ts'

export class SimulatedTable {
  readonly #sets = new Map<string, { readonly declaration: string; readonly elements: Map<string, string> }>()
  readonly #chains = new Map<string, { readonly base: unknown; readonly rules: string[] }>()

  apply(changes: readonly Change[]): void {
    for (const change of changes) this.#applyOne(change)
  }

  contents(): object {
    return {
      sets: Object.fromEntries(
        [...this.#sets].map(([name, set]) => [name, { ...set, elements: Object.fromEntries(set.elements) }]),
      ),
      chains: Object.fromEntries(this.#chains),
    }
  }

  #applyOne(change: Change): void {
    switch (change.kind) {
      case 'set.add':
        addNew(this.#sets, change.name, {
          declaration: renderSetDeclaration(change.set),
          elements: new Map<string, string>(),
        })
        return
      case 'chain.add':
        addNew(this.#chains, change.name, { base: change.base, rules: [] })
        return
      case 'rules.add':
        for (const rule of change.rules.map(renderRule)) {
          this.#checkReferences(rule)
          existing(this.#chains, change.chain).rules.push(rule)
        }
        return
      case 'chain.flush':
        existing(this.#chains, change.name).rules.splice(0)
        return
      case 'chain.delete':
        existing(this.#chains, change.name)
        this.#checkUnused(new RegExp(`(jump|goto) ${change.name}$`))
        this.#chains.delete(change.name)
        return
      case 'set.delete':
        existing(this.#sets, change.name)
        this.#checkUnused(new RegExp(`@${change.name}\\b`))
        this.#sets.delete(change.name)
        return
      case 'elements.add':
        for (const [key, value] of change.elements) {
          this.#checkReferences(value)
          addNew(existing(this.#sets, change.name).elements, key, value)
        }
        return
      case 'elements.delete':
        for (const [key] of change.elements) {
          existing(existing(this.#sets, change.name).elements, key)
          existing(this.#sets, change.name).elements.delete(key)
        }
    }
  }

  #checkReferences(text: string): void {
    for (const [, name = ''] of text.matchAll(/@([\w-]+)/g)) existing(this.#sets, name)
    for (const [, name = ''] of text.matchAll(/(?:jump|goto) ([\w-]+)/g)) existing(this.#chains, name)
  }

  #checkUnused(reference: RegExp): void {
    const rules = [...this.#chains.values()].flatMap((chain) => chain.rules)
    const values = [...this.#sets.values()].flatMap(({ elements }) => [...elements.values()])
    const user = [...rules, ...values].find((text) => reference.test(text))
    if (user !== undefined) throw new Error(`EBUSY: ${String(reference)} is used by ${user}`)
  }
}

/** What `contents` of a table like this one has to be. */
export function contentsOf(table: Table): object {
  const sets = [...table.sets].map(([name, set]) => {
    const elements = Object.fromEntries(iterateElements(set.elements))
    return [name, { declaration: renderSetDeclaration(set), elements }] as const
  })
  const chains = [...table.chains].map(
    ([name, { base, rules }]) => [name, { base, rules: rules.map(renderRule) }] as const,
  )
  return { sets: Object.fromEntries(sets), chains: Object.fromEntries(chains) }
}

function addNew<T>(objects: Map<string, T>, name: string, object: T): void {
  if (objects.has(name)) throw new Error(`EEXIST: ${name}`)
  objects.set(name, object)
}

function existing<T>(objects: ReadonlyMap<string, T>, name: string): T {
  const object = objects.get(name)
  if (object === undefined) throw new Error(`ENOENT: ${name}`)
  return object
}
