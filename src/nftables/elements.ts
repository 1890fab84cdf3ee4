import type { Packed } from './datatype.ts'
import { changedEntries, ShardedMap, ShardedMapEditor } from './sharded-map.ts'

/** The elements of a set or map, from keys to values (empty for sets). */
export type Elements = ShardedMap<Packed, string>

/** What an element maps to: bytes, or a verdict in nft's words. */
export type Verdict = 'accept' | 'drop' | 'continue' | 'return' | `jump ${string}` | `goto ${string}`
export type ElementValue = Packed | Verdict | ''
export type Element = readonly [key: Packed, value: string]

export interface ElementEdit {
  readonly set?: Iterable<readonly [key: Packed, value: ElementValue]>
  /** Before `set`; keys that are not there are no matter. */
  readonly delete?: Iterable<Packed>
}

export interface ElementDiff {
  /** A key whose value changes is in both. */
  readonly deleted: readonly Element[]
  readonly added: readonly Element[]
}

export const noElements: Elements = ShardedMap.of<Packed, string>([])

export function elementsOf(entries: Iterable<readonly [key: Packed, value: ElementValue]>): Elements {
  return ShardedMap.of<Packed, string>(entries)
}

/** The elements of a set, which has no values. */
export function setElementsOf(keys: Iterable<Packed>): Elements {
  const entries = new Map<Packed, string>()
  for (const key of keys) entries.set(key, '')
  return ShardedMap.of(entries)
}

export function editElements(elements: Elements, edit: ElementEdit): Elements {
  const editor = new ShardedMapEditor(elements)
  for (const key of edit.delete ?? []) editor.delete(key)
  for (const [key, value] of edit.set ?? []) editor.set(key, value)
  return editor.edition()
}

export function getElement(elements: Elements, key: Packed): string | undefined {
  return elements.get(key)
}

export function iterateElements(elements: Elements): Iterator<Element> & Iterable<Element> {
  return elements.entries()
}

/** From `before` to `after`. Cheap when one was made of the other by `editElements`. */
export function diffElements(before: Elements, after: Elements): ElementDiff {
  const deleted: Element[] = []
  const added: Element[] = []
  for (const { key, before: was, after: is } of changedEntries(before, after)) {
    if (was !== undefined) deleted.push([key, was])
    if (is !== undefined) added.push([key, is])
  }
  return { deleted, added }
}
