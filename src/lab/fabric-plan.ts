import { type Ipv4Cidr, hostCidr, parseIpv4Cidr } from '../base/cidr.ts'
import { type Ipv4, parseIpv4 } from '../base/ip.ts'
import { type Mac, parseMac } from '../base/mac.ts'
import { unwrap } from '../base/result.ts'
import { addAddress } from '../linux/netlink/address.ts'
import { changeLink, createVeth, type VethEnd } from '../linux/netlink/link.ts'
import { deleteNeighbour, setNeighbour } from '../linux/netlink/neighbour.ts'
import { addRoute, deleteRoute, mainTable, type Route, replaceRoute } from '../linux/netlink/route.ts'
import type { NetlinkRequest } from '../linux/netlink/wire.ts'
import type { FabricState, LabSubnet, LabVnic } from './lab-state.ts'
import { registeredAddresses } from './lab-state.ts'

// The kernel objects of the emulated VCN, as requests; who sends them in which namespace is fabric.ts's business.

/** Inside a VCN, and towards the internet (reference/oci.md section 5). */
export const vcnMtuBytes = 9000
export const internetMtuBytes = 1500

export const natPort = 'nat-gateway'
const natPortIfindex = 90
const internetIfindex = 2
export const loopbackIfindex = 1
const internetRouter = unwrap(parseIpv4('203.0.113.1'))
const internetPrefixLength = 24
const natMac: Mac = unwrap(parseMac('00:00:17:00:00:01'))
const internetMac: Mac = unwrap(parseMac('02:00:00:00:00:01'))
const anywhere: Ipv4Cidr = unwrap(parseIpv4Cidr('0.0.0.0/0'))
/** RTPROT_STATIC */
const protocol = 4
/** Worse than any other route to the same block. */
const lastResortMetric = 4_278_198_272

/** Written before any interface exists, so that every interface inherits it. Slash form, in this order. */
export const vcnSysctls: readonly (readonly [name: string, value: string])[] = [
  ['net/ipv6/conf/all/disable_ipv6', '1'],
  ['net/ipv6/conf/default/disable_ipv6', '1'],
  ['net/ipv4/ip_forward', '1'],
  // The source check is the ruleset's: it counts what it drops and can be switched off by VNIC.
  ['net/ipv4/conf/all/rp_filter', '0'],
  ['net/ipv4/conf/default/rp_filter', '0'],
  ['net/ipv4/conf/all/send_redirects', '0'],
  ['net/ipv4/conf/default/send_redirects', '0'],
]

/** A proxied ARP answer waits a random time up to this, in jiffies (arp(7)). There is no default to inherit. */
export function portSysctls(vnic: LabVnic): readonly (readonly [name: string, value: string])[] {
  return [[`net/ipv4/neigh/${vnic.port}/proxy_delay`, '0']]
}

/** As Oracle Linux has it (50-redhat.conf): strict unless somebody asks for less, forwarding off. */
export const nodeSysctls: readonly (readonly [name: string, value: string])[] = [
  ['net/ipv4/ip_forward', '0'],
  ['net/ipv4/conf/all/rp_filter', '0'],
  ['net/ipv4/conf/default/rp_filter', '1'],
]

/** Makes the VNIC: its interface in the node, down and unconfigured, and the fabric's port, working. */
export function planVnicPort(
  vnic: LabVnic,
  subnet: LabSubnet,
  routerMac: Mac,
  nodeNetnsFd: number,
): readonly NetlinkRequest[] {
  const ifindex = vnic.portIfindex
  const port: VethEnd = { name: vnic.port, mac: routerMac, mtuBytes: vcnMtuBytes, ifindex, up: true }
  const inNode: VethEnd = { name: vnic.name, mac: vnic.mac, mtuBytes: vcnMtuBytes, netnsFd: nodeNetnsFd }
  return [
    createVeth(port, inNode),
    changeLink({ ifindex, ipv4Conf: { proxyArp: 1 } }),
    addAddress({ ifindex, cidr: hostCidr(subnet.routerIp), scope: 'global', noPrefixRoute: true }),
    ...registeredAddresses(vnic).flatMap((address) => planDelivery(vnic, address)),
  ]
}

/** Delivers an address to the VNIC's MAC, and so answers ARP for it on all other ports of the subnet. */
export function planDelivery(vnic: LabVnic, address: Ipv4): readonly NetlinkRequest[] {
  return [
    replaceRoute(deliveryRoute(vnic, address)),
    setNeighbour({ ifindex: vnic.portIfindex, address, mac: vnic.mac }),
  ]
}

export function planDeliveryEnd(vnic: LabVnic, address: Ipv4): readonly NetlinkRequest[] {
  return [
    deleteRoute(deliveryRoute(vnic, address)),
    deleteNeighbour({ ifindex: vnic.portIfindex, address, mac: vnic.mac }),
  ]
}

/** The VCN's side of the NAT gateway, and the end of the road for addresses of the VCN that nobody has. */
export function planNatGateway({ vcn }: FabricState, internetNetnsFd: number): readonly NetlinkRequest[] {
  const ifindex = natPortIfindex
  const mtuBytes = internetMtuBytes
  return [
    createVeth(
      { name: natPort, mac: natMac, mtuBytes, ifindex, up: true },
      { name: 'eth0', mac: internetMac, mtuBytes, ifindex: internetIfindex, netnsFd: internetNetnsFd },
    ),
    changeLink({ ifindex: loopbackIfindex, up: true }),
    addRoute({
      type: 'unreachable',
      table: mainTable,
      destination: vcn.cidr,
      ifindex: 0,
      scope: 'global',
      protocol,
      metric: lastResortMetric,
    }),
  ]
}

/** Possible once the internet's end is up: a route through a port without carrier is not refused, but useless. */
export function planNatGatewayRoute({ internet }: FabricState): readonly NetlinkRequest[] {
  const ifindex = natPortIfindex
  const cidr = { address: internet.natAddress, prefixLength: internetPrefixLength }
  return [
    addAddress({ ifindex, cidr, scope: 'global' }),
    addRoute({
      table: mainTable,
      destination: anywhere,
      ifindex,
      gateway: internetRouter,
      scope: 'global',
      protocol,
    }),
  ]
}

/** The outside world: one router with one host, and no way back to the VCN's addresses. */
export function planInternet({ internet }: FabricState): readonly NetlinkRequest[] {
  const cidr = { address: internetRouter, prefixLength: internetPrefixLength }
  return [
    changeLink({ ifindex: loopbackIfindex, up: true }),
    addAddress({ ifindex: loopbackIfindex, cidr: hostCidr(internet.hostAddress), scope: 'global' }),
    changeLink({ ifindex: internetIfindex, up: true, ipv6AddressGeneration: 'none' }),
    addAddress({ ifindex: internetIfindex, cidr, scope: 'global' }),
  ]
}

/** What cloud-init and DHCP do in an instance for the primary VNIC; the others they leave alone. */
export function planPrimaryInterface(vnic: LabVnic, subnet: LabSubnet, ifindex: number): readonly NetlinkRequest[] {
  const cidr = { address: vnic.primaryAddress, prefixLength: subnet.cidr.prefixLength }
  return [
    changeLink({ ifindex: loopbackIfindex, up: true }),
    changeLink({ ifindex, up: true, mtuBytes: vcnMtuBytes }),
    addAddress({ ifindex, cidr, scope: 'global' }),
    addRoute({
      table: mainTable,
      destination: anywhere,
      ifindex,
      gateway: subnet.routerIp,
      source: vnic.primaryAddress,
      scope: 'global',
      protocol,
    }),
  ]
}

function deliveryRoute(vnic: LabVnic, address: Ipv4): Route {
  return { table: mainTable, destination: hostCidr(address), ifindex: vnic.portIfindex, scope: 'link', protocol }
}
