import { decodeAddress, dumpAddresses } from '../linux/netlink/address.ts'
import { decodeLink, dumpLinks } from '../linux/netlink/link.ts'
import { decodeNeighbour, dumpNeighbours } from '../linux/netlink/neighbour.ts'
import { decodeRoute, dumpRoutes } from '../linux/netlink/route.ts'
import { decodeRule, dumpRules } from '../linux/netlink/rule.ts'
import type { NetlinkSocket } from '../linux/netlink/socket.ts'
import type { NetnsState } from './state.ts'

/** Everything of IPv4 in the socket's namespace. A few milliseconds with 250 pods: for repair and CHECK, not for ADD. */
export function observe(socket: NetlinkSocket): NetnsState {
  return {
    links: socket.dump(dumpLinks(false), decodeLink),
    addresses: socket.dump(dumpAddresses(4), decodeAddress),
    neighbours: socket.dump(dumpNeighbours(4), decodeNeighbour),
    routes: socket.dump(dumpRoutes(4), decodeRoute),
    rules: socket.dump(dumpRules(4), decodeRule),
  }
}
