import {
  messageTypes,
  defaultRoute,
  ipv6Address,
  ipv6Route,
  localRoute,
  neighbour,
  nodeEnd,
  podAddress,
  podEnd,
  podRoute,
  vnicRule,
} from './captured-objects.ts'

export interface RequestRow {
  readonly before?: readonly string[]
  readonly command: string
  /** RTM_* of the message that matters. */
  readonly messageType: number
  /** The encoder of ours that says the same, and its arguments. */
  readonly operation: string
  readonly arguments: readonly unknown[]
  /** Ours is the same to the byte; otherwise attributes stand in another order, or the table is said twice. */
  readonly sameBytes?: true
}

export const requests: readonly RequestRow[] = [
  {
    command:
      'ip link add oci0 index 701 mtu 9000 address 02:00:17:00:00:01 numtxqueues 1 numrxqueues 1 type veth peer name eth0 index 702 mtu 9000 address 02:00:17:00:00:02 netns POD numtxqueues 1 numrxqueues 1',
    messageType: messageTypes.newLink,
    operation: 'createVeth',
    arguments: [nodeEnd, podEnd],
  },
  {
    command: 'ip link set dev oci0 up',
    sameBytes: true,
    messageType: messageTypes.newLink,
    operation: 'changeLink',
    arguments: [{ ifindex: 701, up: true }],
  },
  {
    command: 'ip link set dev oci0 mtu 1500',
    sameBytes: true,
    messageType: messageTypes.newLink,
    operation: 'changeLink',
    arguments: [{ ifindex: 701, mtuBytes: 1500 }],
  },
  {
    command: 'ip link set dev oci0 alias vcn-cni/3f69/eth0',
    sameBytes: true,
    messageType: messageTypes.newLink,
    operation: 'changeLink',
    arguments: [{ ifindex: 701, alias: 'vcn-cni/3f69/eth0' }],
  },
  {
    command: 'ip link set dev oci0 address 02:00:17:00:00:03',
    sameBytes: true,
    messageType: messageTypes.newLink,
    operation: 'changeLink',
    arguments: [{ ifindex: 701, mac: '02:00:17:00:00:03' }],
  },
  {
    command: 'ip address add 10.0.4.7/32 dev oci0 scope link',
    sameBytes: true,
    messageType: messageTypes.newAddress,
    operation: 'addAddress',
    arguments: [{ ...podAddress, scope: 'link' }],
  },
  {
    command: 'ip address del 10.0.4.7/32 dev oci0',
    sameBytes: true,
    messageType: messageTypes.deleteAddress,
    operation: 'deleteAddress',
    arguments: [{ ...podAddress, scope: 'global' }],
  },
  {
    command: 'ip -6 address add 2001:db8::7/128 dev oci0 noprefixroute',
    messageType: messageTypes.newAddress,
    operation: 'addAddress',
    arguments: [{ ...ipv6Address, noPrefixRoute: true }],
  },
  {
    command: 'ip route add 10.0.4.7/32 dev oci0 scope link table 20000 proto 118',
    messageType: messageTypes.newRoute,
    operation: 'addRoute',
    arguments: [podRoute],
  },
  {
    command: 'ip route add 10.0.4.8/32 dev oci0 scope link table 100 proto 118',
    messageType: messageTypes.newRoute,
    operation: 'addRoute',
    arguments: [{ ...podRoute, table: 100, destination: { address: '10.0.4.8', prefixLength: 32 } }],
  },
  {
    before: ['ip route add 169.254.1.1/32 dev oci0 scope link', 'ip address add 10.0.4.1/32 dev oci0'],
    command: 'ip route replace default via 169.254.1.1 dev oci0 src 10.0.4.1 metric 50',
    messageType: messageTypes.newRoute,
    operation: 'replaceRoute',
    arguments: [{ ...defaultRoute, source: '10.0.4.1', metric: 50 }],
  },
  {
    command: 'ip route del 10.0.4.7/32 dev oci0 scope link table 20000 proto 118',
    messageType: messageTypes.deleteRoute,
    operation: 'deleteRoute',
    arguments: [podRoute],
  },
  {
    command: 'ip route add unreachable 10.0.4.9/32 table 20000 proto 118 metric 9',
    messageType: messageTypes.newRoute,
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
    messageType: messageTypes.newRoute,
    operation: 'addRoute',
    arguments: [ipv6Route],
  },
  {
    command: 'ip rule add from 10.0.4.0/24 priority 1536 table 30005 protocol 118',
    sameBytes: true,
    messageType: messageTypes.newRule,
    operation: 'addRule',
    arguments: [vnicRule],
  },
  {
    command: 'ip rule add priority 512 table 100 protocol 118',
    messageType: messageTypes.newRule,
    operation: 'addRule',
    arguments: [{ family: 4, priority: 512, table: 100, protocol: 118 }],
  },
  {
    command: 'ip rule del from 10.0.4.0/24 priority 1536 table 30005 protocol 118',
    messageType: messageTypes.deleteRule,
    operation: 'deleteRule',
    arguments: [vnicRule],
  },
  {
    command: 'ip rule add from 10.0.4.0/24 fwmark 0/0x1000 priority 1536 table 30005 protocol 118',
    messageType: messageTypes.newRule,
    operation: 'addRule',
    arguments: [{ ...vnicRule, unlessMarked: 0x1000 }],
  },
  {
    command: 'ip rule del from 10.0.4.0/24 fwmark 0/0x1000 priority 1536 table 30005 protocol 118',
    messageType: messageTypes.deleteRule,
    operation: 'deleteRule',
    arguments: [{ ...vnicRule, unlessMarked: 0x1000 }],
  },
  {
    command: 'ip -6 rule add from 2001:db8:1::/48 priority 1536 table 30005 protocol 118',
    sameBytes: true,
    messageType: messageTypes.newRule,
    operation: 'addRule',
    arguments: [{ ...vnicRule, family: 6, from: { address: '2001:db8:1::', prefixLength: 48 } }],
  },
  {
    command: 'ip rule add fwmark 1337 priority 1337 table 133 protocol 118',
    messageType: messageTypes.newRule,
    operation: 'addRule',
    arguments: [{ family: 4, priority: 1337, marked: 1337, table: 133, protocol: 118 }],
  },
  {
    command: 'ip rule del fwmark 1337 priority 1337 table 133 protocol 118',
    messageType: messageTypes.deleteRule,
    operation: 'deleteRule',
    arguments: [{ family: 4, priority: 1337, marked: 1337, table: 133, protocol: 118 }],
  },
  {
    command: 'ip route add local default dev lo table 133 proto 118',
    messageType: messageTypes.newRoute,
    operation: 'addRoute',
    arguments: [localRoute],
  },
  {
    command: 'ip neigh replace 169.254.1.1 lladdr 0a:58:a9:fe:01:01 nud permanent dev oci0',
    sameBytes: true,
    messageType: messageTypes.newNeighbour,
    operation: 'setNeighbour',
    arguments: [neighbour],
  },
  {
    command: 'ip -6 neigh replace fe80::1 lladdr 0a:58:a9:fe:01:01 nud permanent dev oci0',
    sameBytes: true,
    messageType: messageTypes.newNeighbour,
    operation: 'setNeighbour',
    arguments: [{ ...neighbour, address: 'fe80::1' }],
  },
  {
    command: 'ip neigh del 169.254.1.1 dev oci0',
    sameBytes: true,
    messageType: messageTypes.deleteNeighbour,
    operation: 'deleteNeighbour',
    arguments: [neighbour],
  },
  {
    command: 'ip link del dev oci0',
    sameBytes: true,
    messageType: messageTypes.deleteLink,
    operation: 'deleteLink',
    arguments: [701],
  },
]
