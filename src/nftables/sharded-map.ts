/** Editions with as many shards have a key in the same one. */
type Shard<K, V> = ReadonlyMap<K, V>

const wantedShardSize = 32
/** How far a map may grow or shrink before its shards are dealt anew. */
const slack = 4

/**
 * An immutable map whose editions share what they have in common: an edit copies the shards it touches, and comparing
 * two editions looks at the shards that differ. With 100,000 entries both cost microseconds an entry changed, not
 * milliseconds for all. The order is that of the keys' hashes; small maps keep the order of insertion.
 */
export class ShardedMap<K extends string, V> implements ReadonlyMap<K, V> {
  readonly size: number
  /** A power of two of them. */
  readonly shards: readonly Shard<K, V>[]

  constructor(size: number, shards: readonly Shard<K, V>[]) {
    this.size = size
    this.shards = shards
  }

  static of<K extends string, V>(entries: Iterable<readonly [key: K, value: V]>): ShardedMap<K, V> {
    return deal(new Map(entries))
  }

  get(key: K): V | undefined {
    return this.shards[shardOf(key, this.shards.length)]?.get(key)
  }

  has(key: K): boolean {
    return this.shards[shardOf(key, this.shards.length)]?.has(key) === true
  }

  forEach(callback: (value: V, key: K, map: ReadonlyMap<K, V>) => void): void {
    for (const [key, value] of this) callback(value, key, this)
  }

  *entries(): MapIterator<[K, V]> {
    for (const shard of this.shards) yield* shard
  }

  *keys(): MapIterator<K> {
    for (const shard of this.shards) yield* shard.keys()
  }

  *values(): MapIterator<V> {
    for (const shard of this.shards) yield* shard.values()
  }

  [Symbol.iterator](): MapIterator<[K, V]> {
    return this.entries()
  }
}

/** Where the next edition of a map is made. */
export class ShardedMapEditor<K extends string, V> {
  #edition: ShardedMap<K, V>
  #shards: Shard<K, V>[]
  #size: number
  /** The copies, which no edition has yet. */
  readonly #fresh = new Map<number, Map<K, V>>()

  constructor(edition: ShardedMap<K, V>) {
    this.#edition = edition
    this.#shards = [...edition.shards]
    this.#size = edition.size
  }

  get(key: K): V | undefined {
    return this.#shards[shardOf(key, this.#shards.length)]?.get(key)
  }

  set(key: K, value: V): void {
    const index = shardOf(key, this.#shards.length)
    const shard = this.#shards[index]
    const isNew = shard?.has(key) !== true
    if (!isNew && shard.get(key) === value) return
    this.#writable(index).set(key, value)
    if (isNew) this.#size++
  }

  /** A key that is not there is no matter. */
  delete(key: K): void {
    const index = shardOf(key, this.#shards.length)
    if (this.#shards[index]?.has(key) !== true) return
    this.#writable(index).delete(key)
    this.#size--
  }

  /** What it is now; the same object as long as nothing is edited. */
  edition(): ShardedMap<K, V> {
    if (this.#fresh.size === 0) return this.#edition
    const edited = new ShardedMap(this.#size, this.#shards)
    const ideal = shardCountFor(edited.size)
    const count = edited.shards.length
    this.#edition = ideal > count * slack || ideal * slack < count ? deal(new Map(edited)) : edited
    this.#shards = [...this.#edition.shards]
    this.#fresh.clear()
    return this.#edition
  }

  #writable(index: number): Map<K, V> {
    const known = this.#fresh.get(index)
    if (known !== undefined) return known
    const copy = new Map(this.#shards[index])
    this.#fresh.set(index, copy)
    this.#shards[index] = copy
    return copy
  }
}

export interface MapChange<K, V> {
  readonly key: K
  readonly before: V | undefined
  readonly after: V | undefined
}

/** The entries that are not the same value any more, those that are gone last. Cheap between editions of one map. */
export function changedEntries<K extends string, V>(
  before: ReadonlyMap<K, V>,
  after: ReadonlyMap<K, V>,
): readonly MapChange<K, V>[] {
  const put: MapChange<K, V>[] = []
  const gone: MapChange<K, V>[] = []
  for (const [old, now] of differingParts(before, after)) {
    for (const [key, value] of now) {
      const was = old.get(key)
      if (was !== value) put.push({ key, before: was, after: value })
    }
    for (const [key, value] of old) if (!now.has(key)) gone.push({ key, before: value, after: undefined })
  }
  return put.length === 0 ? gone : [...put, ...gone]
}

type Parts<K, V> = readonly (readonly [before: ReadonlyMap<K, V>, after: ReadonlyMap<K, V>])[]

function differingParts<K, V>(before: ReadonlyMap<K, V>, after: ReadonlyMap<K, V>): Parts<K, V> {
  if (before === after) return []
  if (!(before instanceof ShardedMap && after instanceof ShardedMap)) return [[before, after]]
  if (before.shards.length !== after.shards.length) return [[before, after]]
  return before.shards.flatMap((shard: Shard<K, V>, index: number): Parts<K, V> => {
    const other: Shard<K, V> | undefined = after.shards[index]
    return other === undefined || other === shard ? [] : [[shard, other]]
  })
}

function deal<K extends string, V>(entries: ReadonlyMap<K, V>): ShardedMap<K, V> {
  const count = shardCountFor(entries.size)
  if (count === 1) return new ShardedMap(entries.size, [entries])
  const shards = Array.from({ length: count }, () => new Map<K, V>())
  for (const [key, value] of entries) shards[shardOf(key, count)]?.set(key, value)
  return new ShardedMap(entries.size, shards)
}

function shardCountFor(size: number): number {
  let count = 1
  while (count * wantedShardSize < size) count *= 2
  return count
}

function shardOf(key: string, count: number): number {
  return count === 1 ? 0 : hashOf(key) & (count - 1)
}

/** FNV-1a over the bytes, mixed once more because only the low bits choose the shard. */
function hashOf(key: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < key.length; index++) hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193)
  return (hash ^ (hash >>> 15)) >>> 0
}
