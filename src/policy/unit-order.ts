import type { PolicyUnit, Tier } from './policy-unit.ts'

const places: Readonly<Record<Tier, number>> = { admin: 0, network: 1, baseline: 2 }

/** As they are asked. Of one priority by name: the API leaves it open, and every node shall answer alike. */
export function inOrder(units: readonly PolicyUnit[]): readonly PolicyUnit[] {
  return [...units].sort(
    (a, b) => places[a.tier] - places[b.tier] || a.priority - b.priority || (a.policy.key < b.policy.key ? -1 : 1),
  )
}
