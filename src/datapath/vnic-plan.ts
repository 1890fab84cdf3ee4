import { type Ipv4Cidr, formatCidr, hostCidr, parseIpv4Cidr } from '../base/cidr.ts'
import type { Ipv4 } from '../base/ip.ts'
import { unwrap } from '../base/result.ts'
import type { Vnic } from '../base/vnic.ts'
import type { Link } from '../linux/netlink/link.ts'
import type { Route } from '../linux/netlink/route.ts'
import type { Rule } from '../linux/netlink/rule.ts'
import {
  podRulePriority,
  podTable,
  routingProtocol,
  rpFilter,
  unusedAddressMetric,
  vnicRulePriority,
  vnicTable,
} from './layout.ts'
import { type OwnedAddress, separatePrefixes } from './separate-prefixes.ts'
import { mergePlans, type NetnsPlan } from './state.ts'

/** A VNIC and the interface it is on this node. */
export interface LocatedVnic {
  readonly vnic: Vnic
  readonly link: Link
}

const anywhere = unwrap(parseIpv4Cidr('0.0.0.0/0'))

/** The interface of each VNIC by MAC; undefined for one that has not appeared (yet). */
export function locateVnic(vnic: Vnic, links: readonly Link[]): Link | undefined {
  const candidates = links.filter((link) => link.mac === vnic.mac)
  // A VLAN, bridge or bond on top of the VNIC inherits its MAC: the hardware's own interface has no kind.
  return candidates.find((link) => link.kind === undefined) ?? candidates.toSorted((a, b) => a.ifindex - b.ifindex)[0]
}

/** Interfaces, tables and rules of the node's VNICs; the number of rules depends on the VNICs alone, never on pods. */
export function planVnics(vnics: readonly LocatedVnic[], mtuBytes: number): NetnsPlan {
  const podRule: Rule = { family: 4, priority: podRulePriority, table: podTable, protocol: routingProtocol }
  return mergePlans([
    ...vnics.map((located) => (located.vnic.isPrimary ? planPrimary(located) : planSecondary(located, mtuBytes))),
    {
      links: [],
      addresses: [],
      neighbours: [],
      routes: vnics.flatMap(({ vnic }) => vnic.addresses.map(unusedAddress)),
      rules: [podRule, ...planSourceRules(vnics)],
    },
  ])
}

// The node configures its primary VNIC by itself. Loose: traffic from outside to a pod on another VNIC (NodePort)
// comes in here although its answer would, by the pod's source rule, leave there.
function planPrimary({ link }: LocatedVnic): NetnsPlan {
  const links = [{ ifindex: link.ifindex, up: true, ipv4Conf: { forwarding: 1, rpFilter: rpFilter.loose } }] as const
  return { links, addresses: [], neighbours: [], routes: [], rules: [] }
}

function planSecondary({ vnic, link }: LocatedVnic, mtuBytes: number): NetnsPlan {
  const { ifindex } = link
  const { primaryAddress, routerIp } = vnic
  const route = { table: vnicTable(ifindex), ifindex, protocol: routingProtocol } as const
  return {
    links: [
      // Apart from the rest: an MTU that the device refuses must not keep it down.
      { ifindex, mtuBytes },
      { ifindex, up: true, ipv4Conf: { forwarding: 1, rpFilter: rpFilter.loose } },
    ],
    // A /32 adds no route for the subnet: everything, neighbours included, goes through the router (oci.md section 5).
    addresses: primaryAddress === undefined ? [] : [{ ifindex, cidr: hostCidr(primaryAddress), scope: 'global' }],
    neighbours: [],
    routes: [
      { ...route, destination: hostCidr(routerIp), scope: 'link' },
      { ...route, destination: anywhere, gateway: routerIp, scope: 'global' },
    ],
    rules: [],
  }
}

// A packet for an address that is ours but held by no pod would be sent back to the VCN, which delivers it here
// again, until its TTL ends. In the pods' table the sender gets an answer at once.
function unusedAddress(address: Ipv4): Route {
  return {
    type: 'unreachable',
    table: podTable,
    destination: hostCidr(address),
    ifindex: 0,
    scope: 'global',
    protocol: routingProtocol,
    metric: unusedAddressMetric,
  }
}

function planSourceRules(vnics: readonly LocatedVnic[]): readonly Rule[] {
  const subnets = new Map<string, Ipv4Cidr>(vnics.map(({ vnic }) => [formatCidr(vnic.subnetCidr), vnic.subnetCidr]))
  return [...subnets].flatMap(([name, subnet]) => {
    const owned = vnics.filter(({ vnic }) => formatCidr(vnic.subnetCidr) === name).flatMap(ownedAddresses)
    return separatePrefixes(subnet, owned)
      .filter(({ owner }) => !owner.vnic.isPrimary)
      .map(({ prefix, owner }) => ({
        family: 4 as const,
        priority: vnicRulePriority,
        from: prefix,
        table: vnicTable(owner.link.ifindex),
        protocol: routingProtocol,
      }))
  })
}

function ownedAddresses(owner: LocatedVnic): readonly OwnedAddress<LocatedVnic>[] {
  const { primaryAddress, addresses } = owner.vnic
  return [...(primaryAddress === undefined ? [] : [primaryAddress]), ...addresses].map((address) => ({
    address,
    owner,
  }))
}
