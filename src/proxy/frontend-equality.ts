import { isDeepStrictEqual } from 'node:util'
import type { Endpoint, Frontend, Target } from './service-table.ts'

/** Means the same to the kernel and to people. Compared by hand: a flap of many endpoints comes through here. */
export function isSameFrontend(a: Frontend, b: Frontend): boolean {
  return (
    a.key === b.key &&
    a.origin === b.origin &&
    a.masquerade === b.masquerade &&
    a.affinityTimeoutSeconds === b.affinityTimeoutSeconds &&
    a.service.name === b.service.name &&
    a.service.namespace === b.service.namespace &&
    a.service.portName === b.service.portName &&
    isSameTarget(a.inside, b.inside) &&
    ((a.inside === a.outside && b.inside === b.outside) || isSameTarget(a.outside, b.outside)) &&
    isSameList(a.serving ?? [], b.serving ?? []) &&
    isDeepStrictEqual(a.sources, b.sources)
  )
}

function isSameTarget(a: Target, b: Target): boolean {
  if (a.kind !== 'forward' || b.kind !== 'forward') return a.kind === b.kind
  return isSameList(a.endpoints, b.endpoints)
}

function isSameList(a: readonly Endpoint[], b: readonly Endpoint[]): boolean {
  return (
    a.length === b.length &&
    a.every(({ address, port }, index) => address === b[index]?.address && port === b[index].port)
  )
}
