import { l4Of } from '../kube/service-port.ts'
import type { Packed } from '../nftables/datatype.ts'
import type { Change } from './claims.ts'
import { packEndpoint, packPlaceOf } from './frontend-elements.ts'
import { affinityName } from './rule-names.ts'
import type { Frontend } from './service-table.ts'
import type { Ip } from '../base/ip.ts'

/** Learned choices to forget: those of one set whose key and value match. */
export interface AffinityPurge {
  readonly set: string
  readonly matches: (key: string, value: string) => boolean
}

/** A frontend whose clients may have been led to endpoints that it has no more. */
export interface StickyChange {
  readonly frontend: Frontend
  /** The endpoints that clients may stay with. */
  readonly valid: ReadonlySet<Packed>
}

const addressBytes = 4

/** For after the kernel has the change: earlier, the next connection would be led to the old endpoint and learned again. */
export function planPurges(
  changes: readonly StickyChange[],
  nodePortAddresses: readonly Ip[],
): readonly AffinityPurge[] {
  const bySet = new Map<string, Map<string, ReadonlySet<string>>>()
  for (const { frontend, valid } of changes) {
    const { at, port, protocol, affinityTimeoutSeconds } = frontend
    if (affinityTimeoutSeconds === undefined) continue
    const set = affinityName(l4Of[protocol], affinityTimeoutSeconds)
    const places = bySet.get(set) ?? new Map<string, ReadonlySet<string>>()
    bySet.set(set, places)
    for (const address of at.kind === 'node' ? nodePortAddresses : [at.address]) {
      places.set(packPlaceOf(address, port), valid)
    }
  }
  return [...bySet].map(([set, places]) => ({
    set,
    // The key is the client's address, then what it sent to.
    matches: (key, value) => places.get(key.slice(addressBytes))?.has(value) === false,
  }))
}

/** Of frontends that are gone, or whose choices are now in another set. */
export function planPurgesOfGone(
  changes: readonly Change<string, Frontend>[],
  nodePortAddresses: readonly Ip[],
): readonly AffinityPurge[] {
  const gone = changes.flatMap(({ before, after }) =>
    before === undefined || before.affinityTimeoutSeconds === after?.affinityTimeoutSeconds ? [] : [before],
  )
  return planPurges(
    gone.map((frontend) => ({ frontend, valid: new Set() })),
    nodePortAddresses,
  )
}

export function validEndpoints(endpoints: readonly Parameters<typeof packEndpoint>[0][]): ReadonlySet<Packed> {
  return new Set(endpoints.map(packEndpoint))
}
