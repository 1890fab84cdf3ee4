/** From one snapshot of a cache to the next: what is new or replaced, and undefined for what is gone. Objects are compared by identity. */
export function changedObjects<T>(
  before: ReadonlyMap<string, T>,
  after: ReadonlyMap<string, T>,
): ReadonlyMap<string, T | undefined> {
  const changed = new Map<string, T | undefined>()
  if (before === after) return changed
  for (const [key, object] of after) if (before.get(key) !== object) changed.set(key, object)
  for (const key of before.keys()) if (!after.has(key)) changed.set(key, undefined)
  return changed
}
