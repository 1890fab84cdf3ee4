import { formatAttachmentKey } from '../../base/attachment.ts'
import type { Ipv4 } from '../../base/ip.ts'
import type { AddressUse } from '../../ipam/address-pool.ts'
import { anchorCooldown } from '../../ipam/cooldown.ts'
import type { AddressRelease } from '../../kube/native-pod-network-status.ts'

/** What decides whether a marked address may leave the node, at one moment. */
export interface ReleaseFacts {
  /** Journal.view(nowMs) */
  readonly uses: ReadonlyMap<Ipv4, AddressUse>
  /** On an interface of the node, or routed to one: a pod that the journal may not know. */
  readonly onInterfaces: ReadonlySet<Ipv4>
  /** Marked addresses that are on disk as such: no restart of the agent gives them out. */
  readonly recorded: ReadonlySet<Ipv4>
  readonly nowMs: number
}

export type ReleaseStep =
  | { readonly kind: 'confirm'; readonly address: Ipv4 }
  /** `untilMs`: when it may be otherwise, by the journal's clock; absent where nobody knows. */
  | { readonly kind: 'wait'; readonly address: Ipv4; readonly because: string; readonly untilMs?: number }

/** For every marked address: whether nothing on this node needs it any more. */
export function planReleases(releases: readonly AddressRelease[], facts: ReleaseFacts): readonly ReleaseStep[] {
  return releases.filter(({ state }) => state === 'Marked').map(({ address }) => planRelease(address, facts))
}

function planRelease(address: Ipv4, { uses, onInterfaces, recorded, nowMs }: ReleaseFacts): ReleaseStep {
  const use = uses.get(address)
  if (use !== undefined && use.state !== 'cooling') {
    return { kind: 'wait', address, because: `held by ${formatAttachmentKey(use.key)}` }
  }
  if (use !== undefined && nowMs < use.coolingUntilMs) {
    const untilMs = anchorCooldown(use, nowMs).coolingUntilMs
    return { kind: 'wait', address, because: `cools down until ${new Date(untilMs).toISOString()}`, untilMs }
  }
  if (onInterfaces.has(address)) return { kind: 'wait', address, because: 'an interface of the node has it' }
  if (!recorded.has(address)) return { kind: 'wait', address, because: 'the marking is not on disk yet' }
  return { kind: 'confirm', address }
}

export interface AddressesInUse {
  /** Held by pods, or cooling down. */
  readonly count: number
  /** When the next one has cooled down; undefined when none cools. */
  readonly nextChangeMs: number | undefined
}

export function addressesInUse(uses: ReadonlyMap<Ipv4, AddressUse>, nowMs: number): AddressesInUse {
  let count = 0
  let nextChangeMs: number | undefined
  for (const use of uses.values()) {
    if (use.state === 'cooling' && use.coolingUntilMs <= nowMs) continue
    count++
    if (use.state === 'cooling') nextChangeMs = Math.min(nextChangeMs ?? Infinity, use.coolingUntilMs)
  }
  return { count, nextChangeMs }
}
