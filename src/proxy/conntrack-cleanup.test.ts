import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Ip } from '../base/ip.ts'
import { NatFlows } from '../linux/nat-flows.fixture.ts'
import { ConntrackTable } from '../linux/netlink/conntrack-table.ts'
import { withNetns } from '../linux/netns.ts'
import {
  cleanUpConntrack,
  isStale,
  planConntrackCleanup,
  udpChanges,
  type UdpFlow,
  type UdpFrontend,
  type UdpFrontendChange,
} from './conntrack-cleanup.ts'
import type { EndpointManifest } from './manifests.fixture.ts'
import { at, draining, dying, node, slice, unready, web } from './one-service.fixture.ts'
import { nodeOf, parsedService, parsedSlice } from './resolve-manifests.fixture.ts'
import { ServiceIndex } from './service-index.ts'

const ip = (text: string): Ip => text as Ip
const nodeAddress = ip('10.0.0.254')

/** `10.1.0.2:5353` */
function place(text: string): { readonly address: Ip; readonly port: number } {
  const [address = '', port] = text.split(':')
  return { address: ip(address), port: Number(port) }
}

function dns(...serving: readonly string[]): UdpFrontend {
  return { at: { kind: 'address', address: ip('10.96.0.10') }, port: 53, serving: serving.map(place) }
}

function nodePort(...serving: readonly string[]): UdpFrontend {
  return { at: { kind: 'node' }, port: 30_053, serving: serving.map(place) }
}

function flow(to: string, answeredBy: string): UdpFlow {
  const [original, reply] = [place(to), place(answeredBy)]
  return {
    original: { destination: original.address, destinationPort: original.port },
    reply: { source: reply.address, sourcePort: reply.port },
  }
}

const [one, two, three] = ['10.1.0.2:5353', '10.1.0.3:5353', '10.1.0.4:5353'] as const
const cleanupOf = (...changes: readonly UdpFrontendChange[]): ReturnType<typeof planConntrackCleanup> =>
  planConntrackCleanup(changes, [nodeAddress])

describe('the table is read when', () => {
  test.each<[string, UdpFrontendChange]>([
    ['an endpoint stopped serving', { before: dns(one, two), after: dns(one) }],
    ['one took another’s place', { before: dns(one), after: dns(two) }],
    ['the last one stopped serving', { before: dns(one), after: dns() }],
    ['the first one came', { before: dns(), after: dns(one) }],
    ['an endpoint’s port changed', { before: dns('10.1.0.2:53'), after: dns(one) }],
    ['a frontend is new', { after: dns(one) }],
    ['a frontend without endpoints is new: it may be an old one’s address', { after: dns() }],
  ])('%s', (_, change) => {
    expect(cleanupOf(change).size).toBe(1)
  })

  test.each<[string, UdpFrontendChange]>([
    ['nothing changed', { before: dns(one), after: dns(one) }],
    ['the order changed', { before: dns(one, two), after: dns(two, one) }],
    ['an endpoint joined others', { before: dns(one), after: dns(one, two) }],
    ['there are still no endpoints', { before: dns(), after: dns() }],
    ['a frontend went away: its flows go on, as TCP’s do', { before: dns(one) }],
  ])('but not when %s', (_, change) => {
    expect(cleanupOf(change).size).toBe(0)
  })
})

describe('when a Service’s endpoints change, flows to its cluster IP may stay with', () => {
  /** `nobody looks`, or who serves, by address. */
  function spared(before: readonly EndpointManifest[], after: readonly EndpointManifest[], protocol = 'UDP'): string {
    const sliceOf = (endpoints: readonly EndpointManifest[]): ReturnType<typeof parsedSlice> =>
      parsedSlice(slice(endpoints, { ports: [{ name: '', port: 8080, protocol }] }))
    const service = parsedService(web({ ports: [{ port: 53, protocol }], externalIPs: [] }))
    const index = new ServiceIndex(nodeOf(node))
    index.apply({ services: new Map([service]), slices: new Map([sliceOf(before)]) })
    const { frontends } = index.apply({ slices: new Map([sliceOf(after)]) })
    const serving = planConntrackCleanup(udpChanges(frontends), []).get('10.96.0.1/53')
    return serving === undefined ? 'nobody looks' : [...serving].join(', ')
  }

  const two = [at('here'), at('there')]
  test.each<[string, readonly EndpointManifest[], readonly EndpointManifest[], string]>([
    ['the others, when one went', two, [at('there')], '10.0.2.1/8080'],
    ['the others, when one no longer serves', two, [at('here', unready), at('there')], '10.0.2.1/8080'],
    ['all, when one terminates and serves on', two, [at('here', draining), at('there')], 'nobody looks'],
    [
      'the others, when it then serves no more',
      [at('here', draining), at('there')],
      [at('here', dying), at('there')],
      '10.0.2.1/8080',
    ],
    ['nobody, when the last one went', [at('here')], [], ''],
    ['the first one that comes', [], [at('here')], '10.0.1.1/8080'],
    ['all, when there is another one', [at('here')], two, 'nobody looks'],
  ])('%s', (_what, before, after, expected) => {
    expect(spared(before, after)).toBe(expected)
  })

  test('whomever they have, of TCP', () => {
    expect(spared(two, [at('there')], 'TCP')).toBe('nobody looks')
  })
})

describe('a flow is', () => {
  test.each<[string, boolean, UdpFrontendChange, UdpFlow]>([
    [
      'stale: its endpoint stopped serving',
      true,
      { before: dns(one, two), after: dns(one) },
      flow('10.96.0.10:53', two),
    ],
    ['kept: its endpoint serves', false, { before: dns(one, two), after: dns(one) }, flow('10.96.0.10:53', one)],
    ['stale: all endpoints stopped', true, { before: dns(one), after: dns() }, flow('10.96.0.10:53', one)],
    [
      'stale: it was sent nowhere when there were no endpoints',
      true,
      { before: dns(), after: dns(one) },
      flow('10.96.0.10:53', '10.96.0.10:53'),
    ],
    ['kept: sent nowhere, and there is still nowhere', false, { after: dns() }, flow('10.96.0.10:53', '10.96.0.10:53')],
    ['stale at start: to an endpoint of earlier', true, { after: dns(one) }, flow('10.96.0.10:53', three)],
    ['stale: to the same pod’s earlier port', true, { after: dns(one) }, flow('10.96.0.10:53', '10.1.0.2:53')],
    ['kept: of another port of the address', false, { after: dns(one) }, flow('10.96.0.10:54', two)],
    ['kept: of another address', false, { after: dns(one) }, flow('10.96.0.11:53', two)],
    ['kept: straight to an endpoint that stopped', false, { before: dns(one, two), after: dns(one) }, flow(two, two)],
    [
      'stale: through a node port to one that stopped',
      true,
      { before: nodePort(one, two), after: nodePort(one) },
      flow('10.0.0.254:30053', two),
    ],
    [
      'kept: through a node port to one that serves',
      false,
      { before: nodePort(one, two), after: nodePort(one) },
      flow('10.0.0.254:30053', one),
    ],
    [
      'stale: to a node port before it had endpoints',
      true,
      { before: nodePort(), after: nodePort(one) },
      flow('10.0.0.254:30053', '10.0.0.254:30053'),
    ],
    [
      'kept: to the same port elsewhere in the world',
      false,
      { after: nodePort(one) },
      flow('192.0.2.1:30053', '192.0.2.1:30053'),
    ],
    [
      'kept: to an endpoint that is the node port itself',
      false,
      { after: nodePort('10.0.0.254:30053') },
      flow('10.0.0.254:30053', '10.0.0.254:30053'),
    ],
  ])('%s', (_, stale, change, which) => {
    expect(isStale(which, cleanupOf(change))).toBe(stale)
  })

  test('judged by its own frontend among several', () => {
    const cleanup = cleanupOf({ after: dns(one) }, { after: nodePort(two) })
    expect(isStale(flow('10.96.0.10:53', two), cleanup)).toBe(true)
    expect(isStale(flow('10.0.0.254:30053', two), cleanup)).toBe(false)
  })

  test('of IPv6 judged the same way', () => {
    const at = { kind: 'address', address: ip('fd00:96::a') } as const
    const cleanup = cleanupOf({ after: { at, port: 53, serving: [{ address: ip('fd00:1::2'), port: 5353 }] } })
    const original = { destination: ip('fd00:96::a'), destinationPort: 53 }
    expect(isStale({ original, reply: { source: ip('fd00:1::3'), sourcePort: 5353 } }, cleanup)).toBe(true)
    expect(isStale({ original, reply: { source: ip('fd00:1::2'), sourcePort: 5353 } }, cleanup)).toBe(false)
  })
})

describe('real flows of clients that keep their port', () => {
  let flows: NatFlows
  let table: ConntrackTable

  beforeAll(async () => {
    flows = new NatFlows()
    table = withNetns(flows.node.fd, () => new ConntrackTable())
    flows.nft(`
      table ip t {
        map services { type inet_service : ipv4_addr . inet_service; }
        chain pre { type nat hook prerouting priority -100; ip daddr { 10.96.0.10, 10.0.0.254 } dnat ip to udp dport map @services; }
      }`)
    await flows.serveUdp('10.1.0.2', 5353, 'one')
    await flows.serveUdp('10.1.0.3', 5353, 'two')
  })
  afterAll(() => {
    table[Symbol.dispose]()
    flows[Symbol.dispose]()
  })

  const lead = (port: number, endpoint: string): void =>
    flows.nft(`add element ip t services { ${port} : ${endpoint.replace(':', ' . ')} }\n`)
  const forget = (port: number): void => flows.nft(`delete element ip t services { ${port} }\n`)
  const clean = (change: UdpFrontendChange): Promise<number> => cleanUpConntrack(table, cleanupOf(change), 4)

  test('follow to another endpoint, and not before', async () => {
    lead(53, one)
    expect(flows.ask('UDP', '10.96.0.10', 53, 5000)).toBe('one')
    forget(53)
    lead(53, two)
    expect(flows.ask('UDP', '10.96.0.10', 53, 5000)).toBe('one')
    expect(await clean({ before: dns(one), after: dns(two) })).toBe(1)
    expect(flows.ask('UDP', '10.96.0.10', 53, 5000)).toBe('two')
    expect(await clean({ before: dns(one), after: dns(two) })).toBe(0)
  })

  test('that went nowhere find the first endpoint', async () => {
    expect(flows.ask('UDP', '10.0.0.254', 30_053, 5001)).toBe('')
    lead(30_053, one)
    expect(flows.ask('UDP', '10.0.0.254', 30_053, 5001)).toBe('')
    expect(await clean({ before: nodePort(), after: nodePort(one) })).toBe(1)
    expect(flows.ask('UDP', '10.0.0.254', 30_053, 5001)).toBe('one')
  })

  test('are spared with TCP, other zones and whoever is served', async () => {
    const tuple = '-s 10.0.0.7 -d 10.96.0.10 --sport 7 --dport 53 -t 300'
    flows.conntrack(`-I -p tcp ${tuple} --state ESTABLISHED --dst-nat 10.1.0.9:5353`)
    flows.conntrack(`-I -p udp ${tuple} -w 5`)
    flows.conntrack(`-I -p udp ${tuple} --dst-nat 10.1.0.3:5353`)
    flows.conntrack('-I -p udp -s 10.0.0.8 -d 10.96.0.10 --sport 8 --dport 53 -t 300 --dst-nat 10.1.0.9:5353')
    expect(await clean({ after: dns(two) })).toBe(1)
    const left = flows.conntrack('-L --orig-dst 10.96.0.10')
    expect(left.match(/ src=10\.0\.0\.7 /g)).toHaveLength(3)
    expect(left).not.toContain(' src=10.0.0.8 ')
  })

  test('are not even read when there is nothing to look for', async () => {
    const select = (): never => {
      throw new Error('read')
    }
    expect(await cleanUpConntrack({ select, delete: () => Promise.resolve(1) }, new Map(), 4)).toBe(0)
  })
})
