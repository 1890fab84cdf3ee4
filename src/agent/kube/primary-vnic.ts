import { cidrContains, type Ipv4Cidr, parseIpv4Cidr } from '../../base/cidr.ts'
import { ipv4FromNumber, ipv4ToNumber, type Ipv4, isIpv4 } from '../../base/ip.ts'
import { err, ok, type Result, unwrap } from '../../base/result.ts'
import type { Vnic, VnicId } from '../../base/vnic.ts'
import type { NetnsState } from '../../datapath/state.ts'
import { mainTable, type Route } from '../../linux/netlink/route.ts'

const primaryVnicId = 'primary' as VnicId

/**
 * The node's own VNIC, as the node has configured it (by DHCP or cloud-init): the interface of the main table's default
 * route. The NativePodNetwork lists the other VNICs only.
 */
export function primaryVnic({
  links,
  addresses,
  routes,
}: Omit<NetnsState, 'rules' | 'neighbours'>): Result<Vnic, string> {
  const route = defaultRoute(routes)
  if (route === undefined) return err('the main table has no default route')
  const link = links.find(({ ifindex }) => ifindex === route.ifindex)
  const name = link?.name ?? `interface ${route.ifindex}`
  if (link?.mac === undefined) return err(`${name}, which has the default route, has no MAC address`)
  const { gateway } = route
  if (gateway === undefined || !isIpv4(gateway)) return err(`the default route by ${name} has no router`)
  const own = addresses.flatMap(({ ifindex, cidr, scope }) => {
    if (ifindex !== link.ifindex || scope !== 'global' || !isIpv4(cidr.address)) return []
    return [{ address: cidr.address, subnet: networkOf(cidr.address, cidr.prefixLength) }]
  })
  const chosen = own.filter(({ address, subnet }) => cidrContains(subnet, gateway) && address !== gateway)
  const first = chosen.find(({ address }) => address === route.source) ?? chosen[0]
  if (first === undefined)
    return err(`${name}, which has the default route, has no address in the subnet of ${gateway}`)
  const { address, subnet } = first
  return ok({
    id: primaryVnicId,
    mac: link.mac,
    isPrimary: true,
    subnetCidr: subnet,
    routerIp: gateway,
    primaryAddress: address,
    addresses: [],
  })
}

// The kernel takes the one with the lowest metric, and of equals the first.
function defaultRoute(routes: readonly Route[]): Route | undefined {
  return routes
    .filter(({ type, table, destination: { address, prefixLength } }) => {
      return type === undefined && table === mainTable && prefixLength === 0 && isIpv4(address)
    })
    .toSorted((a, b) => (a.metric ?? 0) - (b.metric ?? 0))[0]
}

function networkOf(address: Ipv4, prefixLength: number): Ipv4Cidr {
  const size = 2 ** (32 - prefixLength)
  const first = ipv4FromNumber(Math.floor(ipv4ToNumber(address) / size) * size)
  return unwrap(parseIpv4Cidr(`${first}/${prefixLength}`))
}
