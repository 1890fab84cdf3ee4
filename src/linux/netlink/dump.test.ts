import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import { formatCidr, hostCidr } from '../../base/cidr.ts'
import { type IpFamily, parseIpv4 } from '../../base/ip.ts'
import { unwrap } from '../../base/result.ts'
import { type IpObject, TestNetns } from '../test-netns.fixture.ts'
import { decodeAddress, dumpAddresses, type InterfaceAddress, scopeNumber } from './address.ts'
import { decodeLink, dumpLinks, type Link } from './link.ts'
import { decodeNeighbour, dumpNeighbours } from './neighbour.ts'
import { decodeRoute, dumpRoutes, type Route } from './route.ts'
import { decodeRule, dumpRules, type Rule } from './rule.ts'

/** Some of everything, with what our model leaves out in between. */
function populate(netns: TestNetns): void {
  const many = Array.from({ length: 40 }, (_, nth) => nth + 1)
  netns.ipBatch([
    'link add oci0 index 701 mtu 9000 address 02:00:17:00:00:01 type veth peer name oci1 index 702',
    'link add name br0 index 703 type bridge',
    'link set dev oci0 up alias first',
    'link set dev oci1 up',
    'address add 10.0.4.1/24 dev oci0',
    'address add 10.0.4.2/32 dev oci0 scope link',
    'address add 10.0.5.1/24 dev oci1 noprefixroute',
    'address add 2001:db8::7/64 dev oci0 nodad',
    'route add 169.254.1.1/32 dev oci0 scope link',
    'route add default via 169.254.1.1 dev oci0 src 10.0.4.1 metric 50',
    ...many.map((nth) => `route add 10.7.0.${nth}/32 dev oci0 scope link table 20000 proto 118`),
    'route add 10.8.0.0/16 dev oci1 table 100 proto static metric 7',
    'route add unreachable 10.0.4.9/32 table 20000 proto 118 metric 9',
    'route add blackhole 10.2.0.0/16',
    'route add 10.3.0.0/16 nexthop via 169.254.1.1 dev oci0 nexthop via 10.0.4.77 dev oci0',
    'route add 2001:db8:1::/48 via fe80::1 dev oci0 table 30005 proto 118 metric 10',
    'rule add from 10.0.4.0/24 priority 1536 table 30005 protocol 118',
    'rule add priority 512 table 100 protocol 118',
    'rule add not from 10.0.4.0/24 priority 601 table 100',
    'rule add fwmark 1 priority 603 table 100',
    ...many.map((nth) => `neigh replace 10.0.4.${nth + 100} lladdr 0a:58:0a:00:04:${nth} nud permanent dev oci0`),
    'neigh replace 10.0.4.99 lladdr 0a:58:0a:00:04:99 nud reachable dev oci0',
    'neigh replace fe80::1 lladdr 0a:58:a9:fe:01:01 nud permanent dev oci0',
  ])
  netns.ip('-6 rule add from 2001:db8:1::/48 priority 1536 table 30005 protocol 118')
}

function ifindexOf(netns: TestNetns): (name: unknown) => number {
  const indexes = new Map(netns.ipJson('link show').map(({ ifname, ifindex }) => [ifname, ifindex as number]))
  return (name) => indexes.get(name) ?? 0
}

function blockText(text: unknown, family: IpFamily): string {
  if (text === 'default' || text === 'all') return family === 4 ? '0.0.0.0/0' : '::/0'
  return String(text).includes('/') ? String(text) : `${String(text)}/${family === 4 ? 32 : 128}`
}

const isPresent = <T>(value: T | undefined): value is T => value !== undefined
const number = (value: unknown): number => Number(value ?? 0)
const sorted = (lines: readonly string[]): readonly string[] => lines.toSorted()

// One line an object, from what we decode and from what ip prints.
const linkLine = ({ ifindex, name, up, mtuBytes, mac, alias, kind, peerIfindex }: Link): string =>
  [ifindex, name, up, mtuBytes, mac, alias, kind, peerIfindex].join(' ')
const linkLineOfIp = (
  { ifindex, ifname, flags, mtu, address, ifalias, linkinfo, link, link_index: elsewhere }: IpObject,
  indexOf: (name: unknown) => number,
): string => {
  const kind = (linkinfo as { info_kind?: string } | undefined)?.info_kind
  const peer = link === undefined ? elsewhere : indexOf(link)
  return [ifindex, ifname, (flags as string[]).includes('UP'), mtu, address, ifalias, kind, peer].join(' ')
}

const addressLine = ({ ifindex, cidr, scope, noPrefixRoute }: InterfaceAddress): string =>
  [ifindex, formatCidr(cidr), scopeNumber[scope], noPrefixRoute ?? false].join(' ')
const addressLinesOfIp = ({ ifindex, addr_info: list }: IpObject): readonly string[] =>
  (list as IpObject[]).map(({ local, prefixlen, scope, noprefixroute }) =>
    [ifindex, `${String(local)}/${String(prefixlen)}`, number(scope), noprefixroute ?? false].join(' '),
  )

const routeLine = ({ type, table, destination, ifindex, gateway, source, scope, protocol, metric }: Route): string =>
  [type, table, formatCidr(destination), ifindex, gateway, source, scopeNumber[scope], protocol, metric].join(' ')
function routeLineOfIp(route: IpObject, family: IpFamily, indexOf: (name: unknown) => number): string | undefined {
  const { type, table, dst, dev, gateway, prefsrc, scope, protocol, metric } = route
  const unreachable = Number(type) === 7
  if (!unreachable && (Number(type) !== 1 || dev === undefined)) return undefined
  const device = unreachable ? 0 : indexOf(dev)
  return [
    unreachable ? 'unreachable' : undefined,
    table,
    blockText(dst, family),
    device,
    gateway,
    prefsrc,
    number(scope),
    protocol,
    metric,
  ].join(' ')
}

const ruleLine = ({ priority, table, from, protocol }: Rule): string =>
  [priority, table, from === undefined ? 'all' : formatCidr(from), protocol].join(' ')
const ruleLineOfIp = ({ priority, table, src, srclen, protocol }: IpObject): string => {
  const from = src === 'all' ? 'all' : `${String(src)}/${number(srclen)}`
  return [priority, table, from, number(protocol)].join(' ')
}

describe('our dumps are what ip shows', () => {
  using netns = new TestNetns()
  populate(netns)
  const indexOf = ifindexOf(netns)
  const { socket } = netns

  const shown = {
    links: netns.ipJson('link show').map((link) => linkLineOfIp(link, indexOf)),
    addresses: {
      4: netns.ipJson('-4 address show').flatMap(addressLinesOfIp),
      6: netns.ipJson('-6 address show').flatMap(addressLinesOfIp),
    },
    routes: {
      4: netns
        .ipJson('-4 route show table all')
        .map((route) => routeLineOfIp(route, 4, indexOf))
        .filter(isPresent),
      6: netns
        .ipJson('-6 route show table all')
        .map((route) => routeLineOfIp(route, 6, indexOf))
        .filter(isPresent),
    },
    rules: { 4: netns.ipJson('-4 rule show').map(ruleLineOfIp), 6: netns.ipJson('-6 rule show').map(ruleLineOfIp) },
    neighbours: {
      4: netns
        .ipJson('-4 neigh show nud permanent')
        .map(({ dst, dev, lladdr }) => [indexOf(dev), dst, lladdr].join(' ')),
      6: netns
        .ipJson('-6 neigh show nud permanent')
        .map(({ dst, dev, lladdr }) => [indexOf(dev), dst, lladdr].join(' ')),
    },
  }
  const dumped = {
    links: socket.dump(dumpLinks(false), decodeLink),
    addresses: { 4: socket.dump(dumpAddresses(4), decodeAddress), 6: socket.dump(dumpAddresses(6), decodeAddress) },
    routes: { 4: socket.dump(dumpRoutes(4), decodeRoute), 6: socket.dump(dumpRoutes(6), decodeRoute) },
    rules: { 4: socket.dump(dumpRules(4), decodeRule), 6: socket.dump(dumpRules(6), decodeRule) },
    neighbours: {
      4: socket.dump(dumpNeighbours(4), decodeNeighbour),
      6: socket.dump(dumpNeighbours(6), decodeNeighbour),
    },
    ofOneTable: socket.dump(dumpRoutes(4, { table: 20_000 }), decodeRoute),
    ofOneProtocol: socket.dump(dumpRoutes(4, { protocol: 118 }), decodeRoute),
    ofOneInterface: socket.dump(dumpAddresses(4, 701), decodeAddress),
    neighboursOfOneInterface: socket.dump(dumpNeighbours(4, 702), decodeNeighbour),
    ofNoTable: socket.dump(dumpRoutes(4, { table: 999 }), decodeRoute),
    ofNoTable6: socket.dump(dumpRoutes(6, { table: 999 }), decodeRoute),
  }
  const errorOfNoInterface = thrownBy(() => socket.dump(dumpAddresses(4, 77), decodeAddress))

  test('links', () => {
    expect(sorted(dumped.links.map(linkLine))).toEqual(sorted(shown.links))
    expect(dumped.links).toHaveLength(4)
  })

  test.each([4, 6] as const)('addresses of IPv%i', (family) => {
    expect(sorted(dumped.addresses[family].map(addressLine))).toEqual(sorted(shown.addresses[family]))
    expect(dumped.addresses[family].length).toBeGreaterThanOrEqual(2)
  })

  test.each([4, 6] as const)('routes of IPv%i that our model can say', (family) => {
    expect(sorted(dumped.routes[family].map(routeLine))).toEqual(sorted(shown.routes[family]))
    expect(dumped.routes[family].some(({ protocol }) => protocol === 118)).toBe(true)
  })

  test.each([4, 6] as const)('rules of IPv%i, those of others marked', (family) => {
    expect(sorted(dumped.rules[family].map(ruleLine))).toEqual(sorted(shown.rules[family]))
    const marked = dumped.rules[family].filter(({ hasOtherSelectors }) => hasOtherSelectors === true)
    expect(marked.map(({ priority }) => priority)).toEqual(family === 4 ? [601, 603] : [])
  })

  test.each([4, 6] as const)('permanent neighbours of IPv%i', (family) => {
    const lines = dumped.neighbours[family].map(({ ifindex, address, mac }) => [ifindex, address, mac].join(' '))
    expect(sorted(lines)).toEqual(sorted(shown.neighbours[family]))
    expect(lines).toHaveLength(family === 4 ? 40 : 1)
  })

  test('of one table, one protocol, one interface', () => {
    const { ofOneTable, ofOneProtocol, ofOneInterface, neighboursOfOneInterface } = dumped
    expect(ofOneTable).toEqual(dumped.routes[4].filter(({ table }) => table === 20_000))
    expect(ofOneTable).toHaveLength(41)
    expect(ofOneProtocol).toEqual(dumped.routes[4].filter(({ protocol }) => protocol === 118))
    expect(ofOneProtocol).toHaveLength(41)
    expect(ofOneInterface).toEqual(dumped.addresses[4].filter(({ ifindex }) => ifindex === 701))
    expect(neighboursOfOneInterface).toEqual([])
  })

  test('a table that has no route is empty, as the kernel does not know it', () => {
    expect([dumped.ofNoTable, dumped.ofNoTable6]).toEqual([[], []])
  })

  test('the addresses of an interface that is gone are refused', () => {
    expect(errorOfNoInterface).toMatchObject({ name: 'NetlinkError', code: 'ENODEV' })
  })
})

function thrownBy(work: () => unknown): unknown {
  try {
    return work()
  } catch (error) {
    return error
  }
}

/** Adds and deletes links, routes and rules in the namespace, over and over, in a process of its own. */
function churn(netns: TestNetns): AsyncDisposable {
  const round = [
    ...Array.from({ length: 20 }, (_, nth) => `route add 10.250.0.${nth}/32 dev lo table 20000`),
    'rule add priority 100 table 100',
    // These take the kernel a while, in which the dumps see the rest.
    'link add churn0 type bridge',
    'address add 10.9.9.9/32 dev churn0',
    'link del churn0',
    ...Array.from({ length: 20 }, (_, nth) => `route del 10.250.0.${nth}/32 dev lo table 20000`),
    'rule del priority 100 table 100',
  ].join('\n')
  const loop = 'while true; do printf "%s\\n" "$ROUND"; done | exec ip -n "$NETNS" -force -batch - >/dev/null 2>&1'
  const child = spawn('sh', ['-c', loop], { env: { ...process.env, ROUND: round, NETNS: netns.name }, detached: true })
  return {
    [Symbol.asyncDispose]: async () => {
      const closed = once(child, 'close')
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
      await closed
    },
  }
}

test('a dump misses nothing that stands while other things come and go', async () => {
  using netns = new TestNetns()
  const { socket } = netns
  netns.ipBatch([
    ...Array.from({ length: 120 }, (_, nth) => `link add stable${nth} type bridge`),
    ...Array.from(
      { length: 2000 },
      (_, nth) => `route add 10.${nth >> 8}.${nth & 255}.0/24 dev lo table 20000 proto 118`,
    ),
    ...Array.from({ length: 300 }, (_, nth) => `rule add priority ${1000 + nth} table 100 protocol 118`),
  ])
  await using _churn = churn(netns)
  const seen = {
    links: new Set<number>(),
    routes: new Set<number>(),
    rules: new Set<number>(),
    changed: new Set<number>(),
  }
  const deadline = performance.now() + 20_000
  for (let round = 0; round < 60 || (seen.changed.size < 2 && performance.now() < deadline); round++) {
    const links = socket.dump(dumpLinks(false), decodeLink)
    const routes = socket.dump(dumpRoutes(4, { table: 20_000 }), decodeRoute)
    const rules = socket.dump(dumpRules(4), decodeRule)
    seen.links.add(links.filter(({ name }) => name.startsWith('stable')).length)
    seen.routes.add(routes.filter(({ protocol }) => protocol === 118).length)
    seen.rules.add(rules.filter(({ protocol }) => protocol === 118).length)
    seen.changed.add(routes.length)
  }
  // The dumps did see different states: something was going on.
  expect(seen.changed.size).toBeGreaterThan(1)
  expect([seen.links, seen.routes, seen.rules]).toEqual([new Set([120]), new Set([2000]), new Set([300])])
}, 120_000)

test('an address with host bits keeps them', () => {
  using netns = new TestNetns()
  netns.ip('address add 10.0.4.7/24 dev lo')
  const addresses = netns.socket.dump(dumpAddresses(4, 1), decodeAddress)
  expect(addresses).toContainEqual({
    ifindex: 1,
    cidr: { ...hostCidr(unwrap(parseIpv4('10.0.4.7'))), prefixLength: 24 },
    scope: 'global',
  })
})
