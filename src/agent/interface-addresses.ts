import { type Ipv4, isIpv4 } from '../base/ip.ts'
import type { NetnsState } from '../datapath/state.ts'

/**
 * Every address that an interface of the node has, or that is routed to one of its own accord: a pod's stands in a route
 * to its veth, whether the journal knows of the pod or not.
 */
export function interfaceAddresses({ addresses, routes }: Pick<NetnsState, 'addresses' | 'routes'>): ReadonlySet<Ipv4> {
  const own = addresses.map(({ cidr }) => cidr.address)
  const routed = routes.flatMap(({ type, destination: { address, prefixLength } }) =>
    type === undefined && prefixLength === 32 ? [address] : [],
  )
  return new Set([...own, ...routed].filter(isIpv4))
}
