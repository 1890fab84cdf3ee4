import type { Element } from './elements.ts'
import type { BaseChain, NftSet, Rule } from './model.ts'

/** One step of a transaction on a table. Sets and chains are added empty. */
export type Change =
  | { readonly kind: 'set.add'; readonly name: string; readonly set: NftSet }
  | { readonly kind: 'set.delete'; readonly name: string }
  | { readonly kind: 'chain.add'; readonly name: string; readonly base?: BaseChain }
  | { readonly kind: 'chain.flush'; readonly name: string }
  | { readonly kind: 'chain.delete'; readonly name: string }
  | { readonly kind: 'rules.add'; readonly chain: string; readonly rules: readonly Rule[] }
  | ElementChange

export interface ElementChange {
  readonly kind: 'elements.add' | 'elements.delete'
  readonly name: string
  readonly set: NftSet
  /** May be walked more than once. */
  readonly elements: Iterable<Element>
  readonly count: number
}

/** How many elements changes add, or delete. */
export function countOf(kind: ElementChange['kind'], changes: readonly Change[]): number {
  return changes.reduce((sum, change) => (change.kind === kind ? sum + change.count : sum), 0)
}
