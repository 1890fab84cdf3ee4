// Objects that the captured commands make, in the words of our encoders' arguments and decoders' results.

export const nodeEnd = { name: 'oci0', ifindex: 701, mtuBytes: 9000, mac: '02:00:17:00:00:01' }
// ip opens the namespace as descriptor 4 here.
export const podEnd = { name: 'eth0', ifindex: 702, mtuBytes: 9000, mac: '02:00:17:00:00:02', netnsFd: 4 }
export const podAddress = { ifindex: 701, cidr: { address: '10.0.4.7', prefixLength: 32 } }
export const ipv6Address = { ifindex: 701, cidr: { address: '2001:db8::7', prefixLength: 128 }, scope: 'global' }
export const podRoute = {
  table: 20_000,
  destination: { address: '10.0.4.7', prefixLength: 32 },
  ifindex: 701,
  scope: 'link',
  protocol: 118,
}
export const defaultRoute = {
  table: 254,
  destination: { address: '0.0.0.0', prefixLength: 0 },
  ifindex: 701,
  gateway: '169.254.1.1',
  scope: 'global',
  protocol: 3,
}
export const localRoute = {
  type: 'local',
  table: 133,
  destination: { address: '0.0.0.0', prefixLength: 0 },
  ifindex: 1,
  scope: 'host',
  protocol: 118,
}
export const ipv6Route = {
  table: 30_005,
  destination: { address: '2001:db8:1::', prefixLength: 48 },
  ifindex: 701,
  gateway: 'fe80::1',
  scope: 'global',
  protocol: 118,
  metric: 10,
}
export const vnicRule = {
  family: 4,
  priority: 1536,
  table: 30_005,
  from: { address: '10.0.4.0', prefixLength: 24 },
  protocol: 118,
}
export const neighbour = { ifindex: 701, address: '169.254.1.1', mac: '0a:58:a9:fe:01:01' }

/** RTM_*, linux/rtnetlink.h */
export const messageTypes = {
  newLink: 16,
  deleteLink: 17,
  getLink: 18,
  newAddress: 20,
  deleteAddress: 21,
  getAddress: 22,
  newRoute: 24,
  deleteRoute: 25,
  getRoute: 26,
  newNeighbour: 28,
  deleteNeighbour: 29,
  getNeighbour: 30,
  newRule: 32,
  deleteRule: 33,
  getRule: 34,
} as const
