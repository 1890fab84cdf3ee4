/** Who asks for something that only one can have. */
export interface Claimant {
  /** `namespace/name` */
  readonly key: string
  /** RFC 3339; absent: younger than everybody who has one. */
  readonly since?: string
}

export interface Change<K, T> {
  readonly key: K
  readonly before?: T
  readonly after?: T
}

interface Claim<T> {
  readonly claimant: Claimant
  readonly value: T
}

/** Things that several Services may claim, such as node ports: the oldest has it, of the same age the first by name. */
export class Claims<K, T> {
  readonly #isSame: (a: T, b: T) => boolean
  /** The first of a list has it; lists are never empty. */
  readonly #claims = new Map<K, readonly Claim<T>[]>()
  /** What was held when the last changes were taken. */
  readonly #touched = new Map<K, T | undefined>()

  constructor(isSame: (a: T, b: T) => boolean) {
    this.#isSame = isSame
  }

  /** A claim that means the same as the claimant's last one leaves that value in place. */
  put(key: K, claimant: Claimant, value: T): void {
    const claims = this.#claims.get(key)
    if (claims === undefined) {
      this.#touch(key)
      this.#claims.set(key, [{ claimant, value }])
      return
    }
    const index = claims.findIndex((claim) => claim.claimant.key === claimant.key)
    const own = claims[index]
    if (own !== undefined && own.claimant.since === claimant.since && this.#isSame(own.value, value)) return
    this.#touch(key)
    const claim = { claimant, value: own !== undefined && this.#isSame(own.value, value) ? own.value : value }
    this.#claims.set(key, (own === undefined ? [...claims, claim] : claims.with(index, claim)).toSorted(byAge))
  }

  withdraw(key: K, claimant: string): void {
    const claims = this.#claims.get(key) ?? []
    const rest = claims.filter((claim) => claim.claimant.key !== claimant)
    if (rest.length === claims.length) return
    this.#touch(key)
    if (rest.length === 0) this.#claims.delete(key)
    else this.#claims.set(key, rest)
  }

  holder(key: K): Claimant | undefined {
    return this.#claims.get(key)?.[0]?.claimant
  }

  /** Those who asked in vain. */
  losers(key: K): readonly Claim<T>[] {
    const claims = this.#claims.get(key)
    return claims === undefined || claims.length < 2 ? nobody : claims.slice(1)
  }

  /** What is held now, in no order. */
  *held(): Generator<readonly [K, T]> {
    for (const [key, [first]] of this.#claims) if (first !== undefined) yield [key, first.value]
  }

  /**
   * The keys whose claims changed since the last call, with what is held of each: the same object before and after when only
   * losers changed.
   */
  takeTouched(): readonly Change<K, T>[] {
    const changes: Change<K, T>[] = []
    for (const [key, before] of this.#touched) {
      const after = this.#claims.get(key)?.[0]?.value
      if (before === undefined) changes.push(after === undefined ? { key } : { key, after })
      else changes.push(after === undefined ? { key, before } : { key, before, after })
    }
    this.#touched.clear()
    return changes
  }

  #touch(key: K): void {
    if (!this.#touched.has(key)) this.#touched.set(key, this.#claims.get(key)?.[0]?.value)
  }
}

const nobody: readonly never[] = []

function byAge({ claimant: a }: Claim<unknown>, { claimant: b }: Claim<unknown>): number {
  const since = (claimant: Claimant): string => claimant.since ?? '~'
  if (since(a) !== since(b)) return since(a) < since(b) ? -1 : 1
  return a.key < b.key ? -1 : 1
}
