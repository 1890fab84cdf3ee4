/**
 * The rest an address is given after its release: the conntrack entries of its last holder outlive the pod, and a new holder would
 * receive their packets. Both ends of the rest are kept, so that a clock that went backwards can be told from a long rest.
 */
export interface Cooldown {
  /** Wall-clock milliseconds since the epoch, as the clock stood at the release. */
  readonly releasedMs: number
  /** Never before `releasedMs`. */
  readonly coolingUntilMs: number
}

/**
 * The cooldown as it counts at `nowMs`. A release in the future means that the clock was set back since: nobody knows how much of
 * the rest is over, so all of it starts again now, and none of it lasts longer than that.
 */
export function anchorCooldown(cooldown: Cooldown, nowMs: number): Cooldown {
  const { releasedMs, coolingUntilMs } = cooldown
  if (releasedMs <= nowMs) return { releasedMs, coolingUntilMs }
  return { releasedMs: nowMs, coolingUntilMs: nowMs + (coolingUntilMs - releasedMs) }
}
