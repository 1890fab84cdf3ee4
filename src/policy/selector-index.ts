import { type LabelSelector, type Labels, type Requirement, selectorMatches } from '../kube/label-selector.ts'

interface Entry<T> {
  readonly item: T
  readonly selector: LabelSelector
}
interface Bucket<T> {
  /** Under a value that the label must have. */
  readonly byValue: Map<string, Set<Entry<T>>>
  /** The label must exist. */
  readonly anyValue: Set<Entry<T>>
}

/**
 * Finds the selectors that labels match without asking them all: each is kept under a label it needs, and where it could
 * be under several, under the one with the fewest others.
 */
export class SelectorIndex<T> {
  readonly #buckets = new Map<string, Bucket<T>>()
  /** Those that need no label: empty ones, and those that only say what must not be. */
  readonly #rest = new Set<Entry<T>>()
  readonly #places = new Map<T, { readonly entry: Entry<T>; readonly anchor: Requirement | undefined }>()

  get size(): number {
    return this.#places.size
  }

  items(): Iterable<T> {
    return this.#places.keys()
  }

  add(item: T, selector: LabelSelector): void {
    const entry = { item, selector }
    const anchor = this.#anchorOf(selector)
    this.#places.set(item, { entry, anchor })
    if (anchor === undefined) {
      this.#rest.add(entry)
      return
    }
    const bucket = this.#buckets.get(anchor.key) ?? { byValue: new Map(), anyValue: new Set() }
    this.#buckets.set(anchor.key, bucket)
    if (anchor.operator === 'In') for (const value of anchor.values) setAt(bucket.byValue, value).add(entry)
    else bucket.anyValue.add(entry)
  }

  delete(item: T): void {
    const place = this.#places.get(item)
    if (place === undefined) return
    this.#places.delete(item)
    const { entry, anchor } = place
    this.#rest.delete(entry)
    const bucket = anchor === undefined ? undefined : this.#buckets.get(anchor.key)
    if (anchor === undefined || bucket === undefined) return
    bucket.anyValue.delete(entry)
    for (const value of anchor.operator === 'In' ? anchor.values : []) {
      const entries = bucket.byValue.get(value)
      entries?.delete(entry)
      if (entries?.size === 0) bucket.byValue.delete(value)
    }
    if (bucket.byValue.size === 0 && bucket.anyValue.size === 0) this.#buckets.delete(anchor.key)
  }

  /** Calls back for every item whose selector matches, once. */
  match(labels: Labels, found: (item: T) => void): void {
    for (const { item, selector } of this.#rest) if (selectorMatches(selector, labels)) found(item)
    // Whichever is less: 10,000 labels and one selector, or the other way round.
    if (labels.size <= this.#buckets.size)
      for (const [key, value] of labels) matchIn(this.#buckets.get(key), value, labels, found)
    else
      for (const [key, bucket] of this.#buckets) {
        const value = labels.get(key)
        if (value !== undefined) matchIn(bucket, value, labels, found)
      }
  }

  #anchorOf({ requirements }: LabelSelector): Requirement | undefined {
    let best: { readonly requirement: Requirement; readonly cost: number } | undefined
    for (const requirement of requirements) {
      const cost = this.#crowdAt(requirement)
      if (cost !== undefined && (best === undefined || cost < best.cost)) best = { requirement, cost }
      if (best?.cost === 0) break
    }
    return best?.requirement
  }

  /** How many selectors labels would be compared with there; undefined where nothing can be kept. */
  #crowdAt(requirement: Requirement): number | undefined {
    const bucket = this.#buckets.get(requirement.key)
    switch (requirement.operator) {
      case 'In': {
        // Many values are many places to be in.
        let crowd = requirement.values.size - 1
        for (const value of requirement.values) crowd += bucket?.byValue.get(value)?.size ?? 0
        return crowd
      }
      case 'Exists':
        return (bucket?.anyValue.size ?? 0) + 1
      case 'NotIn':
      case 'DoesNotExist':
        return undefined
    }
  }
}

function matchIn<T>(bucket: Bucket<T> | undefined, value: string, labels: Labels, found: (item: T) => void): void {
  if (bucket === undefined) return
  for (const { item, selector } of bucket.anyValue) if (selectorMatches(selector, labels)) found(item)
  for (const { item, selector } of bucket.byValue.get(value) ?? []) if (selectorMatches(selector, labels)) found(item)
}

function setAt<V>(map: Map<string, Set<V>>, key: string): Set<V> {
  const known = map.get(key)
  if (known !== undefined) return known
  const fresh = new Set<V>()
  map.set(key, fresh)
  return fresh
}
