/** Numbers from 0 up to, not including, 1. */
export type Random = () => number

/** mulberry32: the same seed gives the same lab. Not for secrets. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** `count` different members in random order (the first steps of Fisher and Yates' shuffle). */
export function sample<T>(members: readonly T[], count: number, random: Random): readonly T[] {
  if (count > members.length) throw new RangeError(`cannot take ${count} of ${members.length}`)
  const pool = [...members]
  for (let taken = 0; taken < count; taken++) {
    const other = taken + Math.floor(random() * (pool.length - taken))
    const [mine, theirs] = [pool[taken] as T, pool[other] as T]
    pool[taken] = theirs
    pool[other] = mine
  }
  return pool.slice(0, count)
}
