// The kernel objects of a test's node: its namespace, and a small "VCN" behind its two VNICs.
import { type Ipv4, parseIpv4 } from '../../src/base/ip.ts'
import { cidrContains, hostCidr, type Ipv4Cidr, parseIpv4Cidr } from '../../src/base/cidr.ts'
import { type Mac, parseMac } from '../../src/base/mac.ts'
import { unwrap } from '../../src/base/result.ts'
import { observe } from '../../src/datapath/observe.ts'
import type { NetnsState } from '../../src/datapath/state.ts'
import type { Fd } from '../../src/linux/fd.ts'
import { addAddress } from '../../src/linux/netlink/address.ts'
import { changeLink, createVeth } from '../../src/linux/netlink/link.ts'
import { setNeighbour } from '../../src/linux/netlink/neighbour.ts'
import { addRoute, mainTable } from '../../src/linux/netlink/route.ts'
import { NetlinkSocket } from '../../src/linux/netlink/socket.ts'
import type { NetlinkRequest } from '../../src/linux/netlink/wire.ts'
import { createNamedNetns, openNetns, type Sync, withNetns } from '../../src/linux/netns.ts'
import { ensureSysctl } from '../../src/linux/sysctl.ts'

export interface TestVnic {
  readonly ifname: keyof typeof ifindexes
  readonly mac: Mac
  readonly subnetCidr: Ipv4Cidr
  readonly routerIp: Ipv4
  readonly primaryAddress: Ipv4
}

const address = (text: string): Ipv4 => unwrap(parseIpv4(text))

/** The node's own VNIC. */
export const primaryVnic: TestVnic = {
  ifname: 'ens3',
  mac: unwrap(parseMac('02:00:17:00:00:01')),
  subnetCidr: unwrap(parseIpv4Cidr('10.0.0.0/24')),
  routerIp: address('10.0.0.1'),
  primaryAddress: address('10.0.0.2'),
}

/** The VNIC for pods: room for some 1,000. */
export const podVnic: TestVnic = {
  ifname: 'ens5',
  mac: unwrap(parseMac('02:00:17:00:00:02')),
  subnetCidr: unwrap(parseIpv4Cidr('10.0.4.0/22')),
  routerIp: address('10.0.4.1'),
  primaryAddress: address('10.0.4.2'),
}

/** Both ends of a VNIC have this index in the VCN's namespace and in the node's. */
const ifindexes = { ens3: 3, ens5: 5 } as const
const loopbackIfindex = 1
const mtuBytes = 9000
const routerMac = unwrap(parseMac('00:00:17:00:00:01'))
const staticProtocol = 4 // RTPROT_STATIC

/** The VNIC whose subnet an address is in. */
export function vnicOf(registered: Ipv4): TestVnic {
  const vnic = [primaryVnic, podVnic].find(({ subnetCidr }) => cidrContains(subnetCidr, registered))
  if (vnic === undefined) throw new Error(`${registered} is in no subnet of the test's VCN`)
  return vnic
}

/** Makes both namespaces; the node's is as cloud-init leaves an instance: ens3 works, ens5 is down. */
export function makeNodeNamespaces(nodeName: string, vcnName: string, podAddresses: readonly Ipv4[]): void {
  createNamedNetns(nodeName)
  createNamedNetns(vcnName)
  inNamespace(vcnName, () => {
    ensureSysctl('net/ipv4/ip_forward', '1')
    // Inherited by every interface made from now on. Strict is the VCN's source check: what comes from a VNIC that does
    // not own the source address is dropped.
    ensureSysctl('net/ipv4/conf/default/rp_filter', '1')
  })
  inNamespace(nodeName, () => {
    // As Oracle Linux has it (50-redhat.conf).
    ensureSysctl('net/ipv4/conf/all/rp_filter', '0')
    ensureSysctl('net/ipv4/conf/default/rp_filter', '1')
  })
  using node = open(nodeName)
  request(vcnName, [
    changeLink({ ifindex: loopbackIfindex, up: true }),
    ...planVnic(primaryVnic, ifindexes.ens3, node),
    ...planVnic(podVnic, ifindexes.ens5, node),
    // The VCN delivers by registered address to the VNIC's MAC; nobody on the node answers ARP for a pod.
    ...[podVnic.primaryAddress, ...podAddresses].map((registered) => {
      const { ifname, mac } = vnicOf(registered)
      return setNeighbour({ ifindex: ifindexes[ifname], address: registered, mac })
    }),
  ])
  request(nodeName, [
    changeLink({ ifindex: loopbackIfindex, up: true }),
    changeLink({ ifindex: ifindexes.ens3, up: true, ipv6AddressGeneration: 'none' }),
    addAddress({
      ifindex: ifindexes.ens3,
      cidr: { ...primaryVnic.subnetCidr, address: primaryVnic.primaryAddress },
      scope: 'global',
    }),
    addRoute({
      table: mainTable,
      destination: unwrap(parseIpv4Cidr('0.0.0.0/0')),
      ifindex: ifindexes.ens3,
      gateway: primaryVnic.routerIp,
      scope: 'global',
      protocol: staticProtocol,
    }),
  ])
}

/** Switches the source check of the pods' VNIC off, as Oracle's controller does when it attaches one (oci.md section 2). */
export function skipSourceCheck(vcnNetnsPath: string): void {
  requestIn(vcnNetnsPath, [changeLink({ ifindex: ifindexes.ens5, ipv4Conf: { rpFilter: 0 } })])
}

/** Everything of IPv4 that a namespace holds. */
export function observeNetns(netnsPath: string): NetnsState {
  using netns = unwrap(openNetns(netnsPath))
  using socket = withNetns(netns, () => new NetlinkSocket())
  return observe(socket)
}

/** Carries out requests in a namespace; a refusal is thrown. */
export function requestIn(netnsPath: string, requests: readonly NetlinkRequest[]): void {
  using netns = unwrap(openNetns(netnsPath))
  using socket = withNetns(netns, () => new NetlinkSocket())
  const done = socket.request(requests)
  if (!done.ok) throw new AggregateError(done.error, done.error.map(({ message }) => message).join('; '))
}

function planVnic(vnic: TestVnic, ifindex: number, node: Fd): readonly NetlinkRequest[] {
  const port = { name: `${vnic.ifname}-port`, mac: routerMac, mtuBytes, ifindex, up: true }
  return [
    createVeth(port, { name: vnic.ifname, mac: vnic.mac, mtuBytes, ifindex, netnsFd: node.number }),
    addAddress({
      ifindex,
      cidr: { ...hostCidr(vnic.routerIp), prefixLength: vnic.subnetCidr.prefixLength },
      scope: 'global',
    }),
  ]
}

function request(netnsName: string, requests: readonly NetlinkRequest[]): void {
  requestIn(`/run/netns/${netnsName}`, requests)
}

function inNamespace<T>(netnsName: string, work: () => Sync<T>): T {
  using netns = open(netnsName)
  return withNetns(netns, work)
}

function open(netnsName: string): Fd {
  return unwrap(openNetns(`/run/netns/${netnsName}`))
}
