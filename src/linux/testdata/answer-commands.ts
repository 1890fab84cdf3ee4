import { changeLink } from '../netlink/link.ts'
import { dumpRoutes } from '../netlink/route.ts'
import type { NetlinkRequest } from '../netlink/wire.ts'
import { messageTypes, defaultRoute, ipv6Route, neighbour, podRoute, vnicRule } from './captured-objects.ts'

/** What the answers below are about. */
export const preparation: readonly string[] = [
  'ip link add oci0 index 701 mtu 9000 address 02:00:17:00:00:01 type veth peer name eth0 index 702 mtu 9000 address 02:00:17:00:00:02 netns POD',
  'ip link set dev lo up',
  'ip link set dev oci0 up alias vcn-cni/3f69/eth0',
  'ip -n POD link set dev eth0 up',
  'sysctl -q -w net.ipv4.conf.oci0.forwarding=1 net.ipv4.conf.oci0.rp_filter=2 net.ipv4.conf.oci0.send_redirects=0',
  'ip address add 10.0.4.1/24 dev oci0 noprefixroute',
  'ip address add 10.0.4.2/32 dev oci0 scope link',
  'ip -6 address add 2001:db8::7/64 dev oci0 nodad',
  'ip route add 169.254.1.1/32 dev oci0 scope link',
  'ip route add default via 169.254.1.1 dev oci0 src 10.0.4.1 metric 50',
  'ip route add 10.0.4.7/32 dev oci0 scope link table 20000 proto 118',
  'ip route add unreachable 10.0.4.9/32 table 20000 proto 118 metric 9',
  'ip -6 route add 2001:db8:1::/48 via fe80::1 dev oci0 table 30005 proto 118 metric 10',
  // What our model cannot say.
  'ip route add 10.1.0.0/16 tos 0x10 dev oci0',
  'ip route add blackhole 10.2.0.0/16',
  'ip route add 10.3.0.0/16 nexthop via 169.254.1.1 dev oci0 onlink nexthop via 169.254.1.2 dev oci0 onlink',
  'ip route add 10.4.0.0/16 via inet6 fe80::1 dev oci0',
  'ip rule add from 10.0.4.0/24 priority 1536 table 30005 protocol 118',
  'ip rule add priority 512 table 100 protocol 118',
  'ip rule add not from 10.0.4.0/24 priority 601 table 100',
  'ip rule add from 10.0.4.0/24 to 10.0.5.0/24 priority 602 table 100',
  'ip rule add fwmark 1 priority 603 table 100',
  'ip rule add fwmark 0x10/0x30 priority 609 table 100',
  'ip rule add from 10.0.4.0/24 fwmark 0/0x1000 priority 1537 table 30005 protocol 118',
  'ip rule add priority 604 table 100 suppress_prefixlength 0',
  'ip rule add iif oci0 priority 605 table 100',
  'ip rule add from 10.0.4.0/24 priority 606 prohibit',
  'ip rule add tos 0x10 priority 607 table 100',
  'ip rule add from 10.0.4.0/24 priority 608 goto 32767',
  'ip neigh replace 169.254.1.1 lladdr 0a:58:a9:fe:01:01 nud permanent dev oci0',
  'ip neigh replace 169.254.1.2 lladdr 0a:58:a9:fe:01:02 nud reachable dev oci0',
  // The carrier is announced asynchronously.
  'sleep 1',
]

export interface AnswerRow {
  readonly command: string
  /** RTM_* of the request whose answer matters. */
  readonly messageType: number
  readonly decoder: string
  readonly means: unknown
}

const links = [
  {
    ifindex: 1,
    name: 'lo',
    up: true,
    mtuBytes: 65_536,
    operState: 0,
    mac: '00:00:00:00:00:00',
    ipv4Conf: { forwarding: 0, proxyArp: 0, rpFilter: 0, sendRedirects: 1 },
  },
  {
    ifindex: 701,
    name: 'oci0',
    up: true,
    mtuBytes: 9000,
    operState: 6,
    kind: 'veth',
    mac: '02:00:17:00:00:01',
    alias: 'vcn-cni/3f69/eth0',
    peerIfindex: 702,
    ipv4Conf: { forwarding: 1, proxyArp: 0, rpFilter: 2, sendRedirects: 0 },
  },
]

const ipv4Addresses = [
  { ifindex: 1, cidr: { address: '127.0.0.1', prefixLength: 8 }, scope: 'host' },
  { ifindex: 701, cidr: { address: '10.0.4.2', prefixLength: 32 }, scope: 'link' },
  { ifindex: 701, cidr: { address: '10.0.4.1', prefixLength: 24 }, scope: 'global', noPrefixRoute: true },
]

const ipv6Addresses = [
  { ifindex: 1, cidr: { address: '::1', prefixLength: 128 }, scope: 'host' },
  { ifindex: 701, cidr: { address: '2001:db8::7', prefixLength: 64 }, scope: 'global' },
  { ifindex: 701, cidr: { address: 'fe80::17ff:fe00:1', prefixLength: 64 }, scope: 'link' },
]

const linkRoute = {
  table: 254,
  destination: { address: '169.254.1.1', prefixLength: 32 },
  ifindex: 701,
  scope: 'link',
  protocol: 3,
}
const ipv4Routes = [
  { ...podRoute },
  {
    type: 'unreachable',
    table: 20_000,
    destination: { address: '10.0.4.9', prefixLength: 32 },
    ifindex: 0,
    scope: 'global',
    protocol: 118,
    metric: 9,
  },
  { ...defaultRoute, source: '10.0.4.1', metric: 50 },
  linkRoute,
]

const plain = { family: 4, protocol: 118 }
const other = { family: 4, table: 100, protocol: 0, hasOtherSelectors: true }
const { from } = vnicRule
const rules = [
  { family: 4, priority: 0, table: 255, protocol: 2 },
  { ...plain, priority: 512, table: 100 },
  { ...other, priority: 601, from },
  { ...other, priority: 602, from },
  { ...other, priority: 603 },
  { ...other, priority: 604 },
  { ...other, priority: 605 },
  { ...other, priority: 606, from, table: 0 },
  { ...other, priority: 607 },
  { ...other, priority: 608, from, table: 0 },
  { ...other, priority: 609 },
  vnicRule,
  { ...vnicRule, priority: 1537, unlessMarked: 0x1000 },
  { family: 4, priority: 32_766, table: 254, protocol: 2 },
  { family: 4, priority: 32_767, table: 253, protocol: 2 },
]

export const answers: readonly AnswerRow[] = [
  { command: 'ip -d link show', messageType: messageTypes.getLink, decoder: 'decodeLink', means: links },
  {
    command: 'ip -4 address show',
    messageType: messageTypes.getAddress,
    decoder: 'decodeAddress',
    means: ipv4Addresses,
  },
  {
    command: 'ip -6 address show',
    messageType: messageTypes.getAddress,
    decoder: 'decodeAddress',
    means: ipv6Addresses,
  },
  {
    command: 'ip -4 route show table all',
    messageType: messageTypes.getRoute,
    decoder: 'decodeRoute',
    means: ipv4Routes,
  },
  {
    command: 'ip -6 route show table 30005',
    messageType: messageTypes.getRoute,
    decoder: 'decodeRoute',
    means: [ipv6Route],
  },
  { command: 'ip -4 rule show', messageType: messageTypes.getRule, decoder: 'decodeRule', means: rules },
  {
    command: 'ip -4 neigh show',
    messageType: messageTypes.getNeighbour,
    decoder: 'decodeNeighbour',
    means: [neighbour],
  },
  { command: 'ip link set dev oci0 up', messageType: messageTypes.newLink, decoder: 'decodeAck', means: { errno: 0 } },
  {
    command: 'ip link set dev oci0 mtu 70000',
    messageType: messageTypes.newLink,
    decoder: 'decodeAck',
    means: { errno: 22, extendedAck: 'mtu greater than device maximum' },
  },
  {
    command: 'ip route add 10.0.9.9 via 10.9.9.9',
    messageType: messageTypes.newRoute,
    decoder: 'decodeAck',
    means: { errno: 101, extendedAck: 'Nexthop has invalid gateway' },
  },
  {
    command: 'ip rule del priority 99',
    messageType: messageTypes.deleteRule,
    decoder: 'decodeAck',
    means: { errno: 2 },
  },
]

export const ourRequests: readonly (Omit<AnswerRow, 'messageType'> & { readonly request: NetlinkRequest })[] = [
  {
    command: 'ours: an MTU that is too large, answer capped',
    request: changeLink({ ifindex: 701, mtuBytes: 70_000 }),
    decoder: 'decodeAck',
    means: { errno: 22, extendedAck: 'mtu greater than device maximum' },
  },
  {
    command: 'ours: a dump of a table without a route, strictly checked',
    request: dumpRoutes(4, { table: 999 }),
    decoder: 'decodeDone',
    means: { errno: 2, extendedAck: 'ipv4: FIB table does not exist' },
  },
]
