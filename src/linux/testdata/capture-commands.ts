// The commands that capture.ts records and what they mean, in the words of our encoders' arguments and decoders' results.

export interface RequestRow {
  readonly before?: readonly string[]
  readonly command: string
  /** RTM_* of the message that matters. */
  readonly messageType: number
  /** The encoder of ours that says the same, and its arguments. */
  readonly operation: string
  readonly arguments: readonly unknown[]
}

const nodeEnd = { name: 'oci0', ifindex: 701, mtuBytes: 9000, mac: '02:00:17:00:00:01' }
// ip opens the namespace as descriptor 4 here.
const podEnd = { name: 'eth0', ifindex: 702, mtuBytes: 9000, mac: '02:00:17:00:00:02', netnsFd: 4 }
const podAddress = { ifindex: 701, cidr: { address: '10.0.4.7', prefixLength: 32 } }
const ipv6Address = { ifindex: 701, cidr: { address: '2001:db8::7', prefixLength: 128 }, scope: 'global' }
const podRoute = {
  table: 20_000,
  destination: { address: '10.0.4.7', prefixLength: 32 },
  ifindex: 701,
  scope: 'link',
  protocol: 118,
}
const defaultRoute = {
  table: 254,
  destination: { address: '0.0.0.0', prefixLength: 0 },
  ifindex: 701,
  gateway: '169.254.1.1',
  scope: 'global',
  protocol: 3,
}
const ipv6Route = {
  table: 30_005,
  destination: { address: '2001:db8:1::', prefixLength: 48 },
  ifindex: 701,
  gateway: 'fe80::1',
  scope: 'global',
  protocol: 118,
  metric: 10,
}
const vnicRule = {
  family: 4,
  priority: 1536,
  table: 30_005,
  from: { address: '10.0.4.0', prefixLength: 24 },
  protocol: 118,
}
const neighbour = { ifindex: 701, address: '169.254.1.1', mac: '0a:58:a9:fe:01:01' }

const [newLink, deleteLink, newAddress, deleteAddress] = [16, 17, 20, 21]
const [newRoute, deleteRoute, newNeighbour, deleteNeighbour, newRule, deleteRule] = [24, 25, 28, 29, 32, 33]

export const requests: readonly RequestRow[] = [
  {
    command:
      'ip link add oci0 index 701 mtu 9000 address 02:00:17:00:00:01 type veth peer name eth0 index 702 mtu 9000 address 02:00:17:00:00:02 netns POD',
    messageType: newLink,
    operation: 'createVeth',
    arguments: [nodeEnd, podEnd],
  },
  {
    command: 'ip link set dev oci0 up',
    messageType: newLink,
    operation: 'changeLink',
    arguments: [{ ifindex: 701, up: true }],
  },
  {
    command: 'ip link set dev oci0 mtu 1500',
    messageType: newLink,
    operation: 'changeLink',
    arguments: [{ ifindex: 701, mtuBytes: 1500 }],
  },
  {
    command: 'ip link set dev oci0 alias vcn-cni/3f69/eth0',
    messageType: newLink,
    operation: 'changeLink',
    arguments: [{ ifindex: 701, alias: 'vcn-cni/3f69/eth0' }],
  },
  {
    command: 'ip link set dev oci0 address 02:00:17:00:00:03',
    messageType: newLink,
    operation: 'changeLink',
    arguments: [{ ifindex: 701, mac: '02:00:17:00:00:03' }],
  },
  {
    command: 'ip address add 10.0.4.7/32 dev oci0 scope link',
    messageType: newAddress,
    operation: 'addAddress',
    arguments: [{ ...podAddress, scope: 'link' }],
  },
  {
    command: 'ip address del 10.0.4.7/32 dev oci0',
    messageType: deleteAddress,
    operation: 'deleteAddress',
    arguments: [{ ...podAddress, scope: 'global' }],
  },
  {
    command: 'ip -6 address add 2001:db8::7/128 dev oci0 noprefixroute',
    messageType: newAddress,
    operation: 'addAddress',
    arguments: [{ ...ipv6Address, noPrefixRoute: true }],
  },
  {
    command: 'ip route add 10.0.4.7/32 dev oci0 scope link table 20000 proto 118',
    messageType: newRoute,
    operation: 'addRoute',
    arguments: [podRoute],
  },
  {
    command: 'ip route add 10.0.4.8/32 dev oci0 scope link table 100 proto 118',
    messageType: newRoute,
    operation: 'addRoute',
    arguments: [{ ...podRoute, table: 100, destination: { address: '10.0.4.8', prefixLength: 32 } }],
  },
  {
    before: ['ip route add 169.254.1.1/32 dev oci0 scope link', 'ip address add 10.0.4.1/32 dev oci0'],
    command: 'ip route replace default via 169.254.1.1 dev oci0 src 10.0.4.1 metric 50',
    messageType: newRoute,
    operation: 'replaceRoute',
    arguments: [{ ...defaultRoute, source: '10.0.4.1', metric: 50 }],
  },
  {
    command: 'ip route del 10.0.4.7/32 dev oci0 scope link table 20000 proto 118',
    messageType: deleteRoute,
    operation: 'deleteRoute',
    arguments: [podRoute],
  },
  {
    command: 'ip route add unreachable 10.0.4.9/32 table 20000 proto 118 metric 9',
    messageType: newRoute,
    operation: 'addRoute',
    arguments: [
      {
        type: 'unreachable',
        table: 20_000,
        destination: { address: '10.0.4.9', prefixLength: 32 },
        ifindex: 0,
        scope: 'global',
        protocol: 118,
        metric: 9,
      },
    ],
  },
  {
    command: 'ip -6 route add 2001:db8:1::/48 via fe80::1 dev oci0 table 30005 proto 118 metric 10',
    messageType: newRoute,
    operation: 'addRoute',
    arguments: [ipv6Route],
  },
  {
    command: 'ip rule add from 10.0.4.0/24 priority 1536 table 30005 protocol 118',
    messageType: newRule,
    operation: 'addRule',
    arguments: [vnicRule],
  },
  {
    command: 'ip rule add priority 512 table 100 protocol 118',
    messageType: newRule,
    operation: 'addRule',
    arguments: [{ family: 4, priority: 512, table: 100, protocol: 118 }],
  },
  {
    command: 'ip rule del from 10.0.4.0/24 priority 1536 table 30005 protocol 118',
    messageType: deleteRule,
    operation: 'deleteRule',
    arguments: [vnicRule],
  },
  {
    command: 'ip -6 rule add from 2001:db8:1::/48 priority 1536 table 30005 protocol 118',
    messageType: newRule,
    operation: 'addRule',
    arguments: [{ ...vnicRule, family: 6, from: { address: '2001:db8:1::', prefixLength: 48 } }],
  },
  {
    command: 'ip neigh replace 169.254.1.1 lladdr 0a:58:a9:fe:01:01 nud permanent dev oci0',
    messageType: newNeighbour,
    operation: 'setNeighbour',
    arguments: [neighbour],
  },
  {
    command: 'ip -6 neigh replace fe80::1 lladdr 0a:58:a9:fe:01:01 nud permanent dev oci0',
    messageType: newNeighbour,
    operation: 'setNeighbour',
    arguments: [{ ...neighbour, address: 'fe80::1' }],
  },
  {
    command: 'ip neigh del 169.254.1.1 dev oci0',
    messageType: deleteNeighbour,
    operation: 'deleteNeighbour',
    arguments: [neighbour],
  },
  {
    command: 'ip link del dev oci0',
    messageType: deleteLink,
    operation: 'deleteLink',
    arguments: [701],
  },
]

export const preparation: readonly string[] = []
export const answers: readonly { command: string; messageType: number; means: unknown }[] = []
