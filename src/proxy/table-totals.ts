import type { Endpoint, Frontend, Target } from './service-table.ts'

export interface TableTotals {
  /** Those with at least one frontend. */
  readonly services: number
  /** Different addresses and ports that packets are led to. */
  readonly endpoints: number
  /** Services whose policy is Local, whose endpoints are all elsewhere: by the policy. */
  readonly withoutLocalEndpoints: Readonly<Record<'internal' | 'external', number>>
}

/** Looks at every frontend. */
export function tableTotals(frontends: Iterable<Frontend>): TableTotals {
  const services = new Set<string>()
  const endpoints = new Set<string>()
  const dropped = { internal: new Set<string>(), external: new Set<string>() }
  // A Service's frontends mostly share their lists.
  const counted = new Set<readonly Endpoint[]>()
  const count = (target: Target): void => {
    if (target.kind !== 'forward' || counted.has(target.endpoints)) return
    counted.add(target.endpoints)
    for (const { address, port } of target.endpoints) endpoints.add(`${address}/${port}`)
  }
  for (const { service, origin, inside, outside } of frontends) {
    const key = `${service.namespace}/${service.name}`
    services.add(key)
    count(inside)
    count(outside)
    if (outside.kind === 'drop') (origin === 'clusterIp' ? dropped.internal : dropped.external).add(key)
  }
  return {
    services: services.size,
    endpoints: endpoints.size,
    withoutLocalEndpoints: { internal: dropped.internal.size, external: dropped.external.size },
  }
}
