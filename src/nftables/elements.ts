import type { Packed } from './datatype.ts'

/**
 * The elements of a set or map: an immutable map from keys to values (empty for sets) whose editions share what they
 * have in common. An edit copies the shards it touches, and comparing two editions looks at the shards that differ:
 * with 100,000 elements both cost microseconds an element changed, not milliseconds for all.
 */
export interface Elements {
  readonly size: number
  /** A power of two of them, by the hash of the key. */
  readonly shards: readonly Shard[]
}
type Shard = ReadonlyMap<Packed, string>

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

const emptyShard: Shard = new Map()
export const noElements: Elements = { size: 0, shards: [emptyShard] }

const wantedShardSize = 32
/** How far a container may grow or shrink before its shards are dealt anew. */
const slack = 4

export function elementsOf(entries: Iterable<readonly [key: Packed, value: ElementValue]>): Elements {
  return deal(new Map<Packed, string>(entries))
}

/** The elements of a set, which has no values. */
export function setElementsOf(keys: Iterable<Packed>): Elements {
  const entries = new Map<Packed, string>()
  for (const key of keys) entries.set(key, '')
  return deal(entries)
}

export function editElements(elements: Elements, edit: ElementEdit): Elements {
  const editor = new ShardEditor(elements)
  for (const key of edit.delete ?? []) editor.delete(key)
  for (const [key, value] of edit.set ?? []) editor.set(key, value)
  const edited = editor.done()
  const ideal = shardCountFor(edited.size)
  const count = edited.shards.length
  return ideal > count * slack || ideal * slack < count ? deal(new Map(iterateElements(edited))) : edited
}

export function getElement(elements: Elements, key: Packed): string | undefined {
  return elements.shards[hashOf(key) & (elements.shards.length - 1)]?.get(key)
}

export function* iterateElements(elements: Elements): Generator<Element> {
  for (const shard of elements.shards) yield* shard
}

/** Without a copy of them. */
export function allElements(elements: Elements): Iterable<Element> {
  return { [Symbol.iterator]: () => iterateElements(elements) }
}

/** From `before` to `after`. Cheap when one was made of the other by `editElements`. */
export function diffElements(before: Elements, after: Elements): ElementDiff {
  const deleted: Element[] = []
  const added: Element[] = []
  if (before.shards.length === after.shards.length) {
    before.shards.forEach((shard, index) => {
      const other = after.shards[index] ?? emptyShard
      if (shard !== other) diffShards(shard, other, deleted, added)
    })
  } else {
    diffShards(new Map(iterateElements(before)), new Map(iterateElements(after)), deleted, added)
  }
  return { deleted, added }
}

function diffShards(before: Shard, after: Shard, deleted: Element[], added: Element[]): void {
  for (const element of before) if (after.get(element[0]) !== element[1]) deleted.push(element)
  for (const element of after) if (before.get(element[0]) !== element[1]) added.push(element)
}

class ShardEditor {
  readonly #shards: Shard[]
  /** The copies, which may be written. */
  readonly #fresh = new Map<number, Map<Packed, string>>()
  #size: number
  readonly #original: Elements

  constructor(elements: Elements) {
    this.#original = elements
    this.#shards = [...elements.shards]
    this.#size = elements.size
  }

  set(key: Packed, value: string): void {
    const index = hashOf(key) & (this.#shards.length - 1)
    const old = this.#shards[index]?.get(key)
    if (old === value) return
    this.#writable(index).set(key, value)
    if (old === undefined) this.#size++
  }

  delete(key: Packed): void {
    const index = hashOf(key) & (this.#shards.length - 1)
    if (this.#shards[index]?.has(key) !== true) return
    this.#writable(index).delete(key)
    this.#size--
  }

  done(): Elements {
    return this.#fresh.size === 0 ? this.#original : { size: this.#size, shards: this.#shards }
  }

  #writable(index: number): Map<Packed, string> {
    const known = this.#fresh.get(index)
    if (known !== undefined) return known
    const copy = new Map(this.#shards[index])
    this.#fresh.set(index, copy)
    this.#shards[index] = copy
    return copy
  }
}

function deal(entries: ReadonlyMap<Packed, string>): Elements {
  const count = shardCountFor(entries.size)
  if (count === 1) return { size: entries.size, shards: [entries] }
  const shards = Array.from({ length: count }, () => new Map<Packed, string>())
  for (const [key, value] of entries) shards[hashOf(key) & (count - 1)]?.set(key, value)
  return { size: entries.size, shards }
}

function shardCountFor(size: number): number {
  let count = 1
  while (count * wantedShardSize < size) count *= 2
  return count
}

/** FNV-1a over the bytes, mixed once more because only the low bits choose the shard. */
function hashOf(key: Packed): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < key.length; index++) hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193)
  return (hash ^ (hash >>> 15)) >>> 0
}
