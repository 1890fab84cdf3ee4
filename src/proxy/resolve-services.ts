import type { EndpointSlice } from '../kube/endpoint-slice.ts'
import type { Service } from '../kube/service.ts'
import type { Change } from './claims.ts'
import { ServiceIndex } from './service-index.ts'
import type { ProxyNode, ServiceTable } from './service-table.ts'

/** All that a service table depends on; objects by `objectKey`. */
export interface ServiceSnapshot {
  readonly services: ReadonlyMap<string, Service>
  readonly slices: ReadonlyMap<string, EndpointSlice>
  readonly node: ProxyNode
}

/** The table from nothing. In steady state a ServiceIndex tells what changed instead. */
export function resolveServices({ services, slices, node }: ServiceSnapshot): ServiceTable {
  // What is new to an empty index is all there is, and in order already.
  const { frontends, healthChecks, foundProblems } = new ServiceIndex(node).apply({ services, slices })
  return {
    family: node.family,
    nodePortAddresses: node.nodePortAddresses,
    frontends: new Map(heldAfter(frontends)),
    healthChecks: new Map(heldAfter(healthChecks)),
    problems: foundProblems,
  }
}

function* heldAfter<K, T>(changes: readonly Change<K, T>[]): Generator<readonly [K, T]> {
  for (const { key, after } of changes) if (after !== undefined) yield [key, after]
}
