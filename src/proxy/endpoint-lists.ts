import type { EndpointSlice, SliceEndpoint } from '../kube/endpoint-slice.ts'
import type { ServicePort } from '../kube/service.ts'
import type { Endpoint, ProxyNode } from './service-table.ts'

/** Where one port of a Service may send packets from this node, in a fixed order. */
export interface EndpointLists {
  readonly cluster: readonly Endpoint[]
  readonly local: readonly Endpoint[]
  /** UDP only: all that still answer, chosen for new flows or not. */
  readonly serving: readonly Endpoint[]
  /** Addresses of ready endpoints on this node. */
  readonly localReady: readonly string[]
}

interface Candidate {
  readonly key: string
  readonly endpoint: Endpoint
  readonly isLocal: boolean
  readonly conditions: SliceEndpoint
}

/** `slices` are those of the port's Service, in a fixed order. */
export function endpointLists(port: ServicePort, slices: readonly EndpointSlice[], node: ProxyNode): EndpointLists {
  const candidates = candidatesOf(port, slices, node)
  const ready = candidates.filter(({ conditions }) => conditions.ready)
  const draining = candidates.filter(({ conditions }) => isDraining(conditions))
  const localReady = ready.filter(({ isLocal }) => isLocal)
  return {
    cluster: endpointsOf(ready.length > 0 ? withinTopology(ready, node) : draining),
    local: endpointsOf(localReady.length > 0 ? localReady : draining.filter(({ isLocal }) => isLocal)),
    serving: port.protocol === 'UDP' ? endpointsOf(candidates.filter(isAnswering)) : [],
    localReady: localReady.map(({ endpoint }) => endpoint.address),
  }
}

// Not ready because it is to go, but it still answers: better than nothing (KEP-1669).
function isDraining({ ready, serving, terminating }: SliceEndpoint): boolean {
  return !ready && serving && terminating
}

/** Hints count when every ready endpoint has one and some are for us: else a few would get everybody’s load (KEP-2433, KEP-3015). */
function withinTopology(ready: readonly Candidate[], node: ProxyNode): readonly Candidate[] {
  for (const { hintsOf, place } of [
    { hintsOf: ({ nodeHints }: SliceEndpoint) => nodeHints, place: node.name },
    { hintsOf: ({ zoneHints }: SliceEndpoint) => zoneHints, place: node.zone },
  ]) {
    if (place === undefined || ready.some(({ conditions }) => hintsOf(conditions).length === 0)) continue
    const ours = ready.filter(({ conditions }) => hintsOf(conditions).includes(place))
    if (ours.length > 0) return ours
  }
  return ready
}

function candidatesOf(port: ServicePort, slices: readonly EndpointSlice[], node: ProxyNode): readonly Candidate[] {
  const candidates: Candidate[] = []
  for (const slice of slices) {
    for (const { name, protocol, port: number } of slice.ports) {
      if (name !== port.name || protocol !== port.protocol) continue
      for (const conditions of slice.endpoints) {
        const { address } = conditions
        candidates.push({
          key: `${address}:${number}`,
          endpoint: { address, port: number },
          isLocal: conditions.nodeName === node.name,
          conditions,
        })
      }
    }
  }
  // An endpoint that moves from one slice to another stands in both for a while: the best of them counts.
  candidates.sort((a, b) => (a.key === b.key ? standing(b) - standing(a) : a.key < b.key ? -1 : 1))
  return candidates.filter(({ key }, index) => candidates[index - 1]?.key !== key)
}

function standing({ isLocal, conditions }: Candidate): number {
  return (isLocal ? 4 : 0) + (conditions.ready ? 2 : 0) + (isDraining(conditions) ? 1 : 0)
}

function isAnswering({ conditions }: Candidate): boolean {
  return conditions.ready || conditions.serving
}

function endpointsOf(candidates: readonly Candidate[]): readonly Endpoint[] {
  return candidates.map(({ endpoint }) => endpoint)
}
