import { cidrContains, type Ipv4Cidr, formatCidr, hostCidr, parseIpv4Cidr } from '../base/cidr.ts'
import type { Ipv4 } from '../base/ip.ts'
import { unwrap } from '../base/result.ts'
import type { Vnic } from '../base/vnic.ts'
import type { Link } from '../linux/netlink/link.ts'
import type { Route } from '../linux/netlink/route.ts'
import type { Rule } from '../linux/netlink/rule.ts'
import {
  missingVnicTable,
  podRulePriority,
  podTable,
  replyMark,
  routingProtocol,
  rpFilter,
  unusedAddressMetric,
  sourceRulePriority,
  interfaceTable,
} from './layout.ts'
import { type OwnedAddress, separatePrefixes } from './separate-prefixes.ts'
import { mergePlans, type NetnsPlan } from './state.ts'

/** A VNIC and the interface it is on this node. */
export interface LocatedVnic {
  readonly vnic: Vnic
  readonly link: Link
  /** Configured on the interface, whoever did it. */
  readonly localAddresses?: readonly Ipv4[]
}

const anywhere = unwrap(parseIpv4Cidr('0.0.0.0/0'))

/** The interface of each VNIC by MAC; undefined for one that has not appeared (yet). */
export function locateVnic(vnic: Vnic, links: readonly Link[]): Link | undefined {
  const candidates = links.filter((link) => link.mac === vnic.mac)
  // A VLAN, bridge or bond on top of the VNIC inherits its MAC: the hardware's own interface has no kind.
  return candidates.find((link) => link.kind === undefined) ?? candidates.toSorted((a, b) => a.ifindex - b.ifindex)[0]
}

/**
 * Interfaces, tables and rules of the node's VNICs; the number of rules depends on the VNICs alone, never on pods.
 * `missing`: VNICs without an interface, whose pods must not send by another one.
 */
export function planVnics(vnics: readonly LocatedVnic[], mtuBytes: number, missing: readonly Vnic[] = []): NetnsPlan {
  const podRule: Rule = { family: 4, priority: podRulePriority, table: podTable, protocol: routingProtocol }
  return mergePlans([
    ...vnics.map((located) => (located.vnic.isPrimary ? planPrimary(located) : planSecondary(located, mtuBytes))),
    {
      links: [],
      addresses: [],
      neighbours: [],
      routes: [
        ...vnics.flatMap(({ vnic }) => vnic.addresses.map(unusedAddress)),
        ...(missing.some(({ isPrimary }) => !isPrimary) ? [noWayOut] : []),
      ],
      rules: [podRule, ...planSourceRules(vnics, missing)],
    },
  ])
}

// The node configures its primary VNIC by itself. Loose: traffic from outside to a pod on another VNIC (NodePort)
// comes in here, and the check looks the answer up by the pod's source rule: nothing has marked it yet.
function planPrimary({ link }: LocatedVnic): NetnsPlan {
  const links = [{ ifindex: link.ifindex, up: true, ipv4Conf: { forwarding: 1, rpFilter: rpFilter.loose } }] as const
  return { links, addresses: [], neighbours: [], routes: [], rules: [] }
}

function planSecondary({ vnic, link }: LocatedVnic, mtuBytes: number): NetnsPlan {
  const { ifindex } = link
  const { primaryAddress, routerIp } = vnic
  const route = { table: interfaceTable(ifindex), ifindex, protocol: routingProtocol } as const
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

const noWayOut: Route = {
  type: 'unreachable',
  table: missingVnicTable,
  destination: anywhere,
  ifindex: 0,
  scope: 'global',
  protocol: routingProtocol,
}

/** Where packets from a VNIC's addresses are looked up. */
interface SourceOwner {
  readonly vnic: Vnic
  readonly table: number
  readonly localAddresses: readonly Ipv4[]
}

// Not for packets that carry `replyMark`: those leave where their translated source lives, not where the pod does.
function planSourceRules(located: readonly LocatedVnic[], missing: readonly Vnic[]): readonly Rule[] {
  const owners: readonly SourceOwner[] = [
    ...located.map(({ vnic, link, localAddresses = [] }) => ({
      vnic,
      table: interfaceTable(link.ifindex),
      localAddresses,
    })),
    ...missing.map((vnic) => ({ vnic, table: missingVnicTable, localAddresses: [] })),
  ]
  const listed = new Set(owners.flatMap(({ vnic }) => listedAddresses(vnic)))
  const subnets = new Map<string, Ipv4Cidr>(owners.map(({ vnic }) => [formatCidr(vnic.subnetCidr), vnic.subnetCidr]))
  return [...subnets].flatMap(([name, subnet]) => {
    const owned = owners
      .filter(({ vnic }) => formatCidr(vnic.subnetCidr) === name)
      .flatMap((owner) => ownedAddresses(owner, listed))
    return separatePrefixes(subnet, owned)
      .filter(({ owner }) => !owner.vnic.isPrimary)
      .map(({ prefix, owner }) => ({
        family: 4 as const,
        priority: sourceRulePriority,
        from: prefix,
        unlessMarked: replyMark,
        table: owner.table,
        protocol: routingProtocol,
      }))
  })
}

/** What is listed for the VNIC, and what is configured on it without being listed anywhere. */
function ownedAddresses(owner: SourceOwner, listed: ReadonlySet<Ipv4>): readonly OwnedAddress<SourceOwner>[] {
  const { vnic, localAddresses } = owner
  const others = localAddresses.filter((address) => !listed.has(address) && cidrContains(vnic.subnetCidr, address))
  return [...listedAddresses(vnic), ...others].map((address) => ({ address, owner }))
}

function listedAddresses({ primaryAddress, addresses }: Vnic): readonly Ipv4[] {
  return [...(primaryAddress === undefined ? [] : [primaryAddress]), ...addresses]
}
