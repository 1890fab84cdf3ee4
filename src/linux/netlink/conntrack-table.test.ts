import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { NatFlows } from '../nat-flows.fixture.ts'
import { withNetns } from '../netns.ts'
import type { ConntrackEntry, ConntrackFilter } from './conntrack.ts'
import { asPrinted, parsePrinted, type PrintedEntry } from './conntrack-line.fixture.ts'
import { ConntrackTable } from './conntrack-table.ts'

let flows: NatFlows
let table: ConntrackTable

beforeAll(async () => {
  flows = new NatFlows()
  table = withNetns(flows.node.fd, () => new ConntrackTable())
  flows.nft(`
    table ip t {
      chain pre { type nat hook prerouting priority -100; ip daddr 10.96.0.10 udp dport 53 dnat to 10.1.0.2:5353; ip daddr 10.96.0.10 tcp dport 80 dnat to 10.1.0.3:8080; }
      chain post { type nat hook postrouting priority 100; ct original ip daddr 10.96.0.10 meta l4proto tcp masquerade; }
      chain marking { type filter hook prerouting priority 0; udp dport 5353 ct mark set 0x2a; }
    }
    table ip6 t {
      chain pre { type nat hook prerouting priority -100; ip6 daddr fd00:96::a udp dport 53 dnat to [fd00:1::3]:5353; }
    }`)
  await flows.serveUdp('10.1.0.2', 5353, 'two')
  await flows.serveUdp('fd00:1::3', 5353, 'three')
  await flows.serveTcp('10.1.0.3', 8080, 'web')
  expect(flows.ask('UDP', '10.96.0.10', 53, 4000)).toBe('two')
  expect(flows.ask('UDP', '10.1.0.2', 5353, 4001)).toBe('two')
  // The router looks for its IPv6 neighbours from its link-local address, which has to be free of duplicates first.
  await vi.waitFor(() => expect(flows.ask('UDP', 'fd00:1::3', 5353, 4001)).toBe('three'), { timeout: 20_000 })
  expect(flows.ask('UDP', 'fd00:96::a', 53, 4000)).toBe('three')
  expect(flows.ask('TCP', '10.96.0.10', 80, 4002)).toBe('web')
  flows.run(flows.client, 'ping -c 1 10.1.0.2')
  flows.conntrack('-I -p udp -s 10.0.0.1 -d 10.96.0.10 --sport 4000 --dport 53 -t 3000 -w 5')
  flows.conntrack(
    '-I -p sctp -s 10.0.0.1 -d 10.1.0.2 --sport 4003 --dport 9 -t 3000 --state ESTABLISHED --orig-vtag 1 --reply-vtag 2',
  )
})
afterAll(() => {
  table[Symbol.dispose]()
  flows[Symbol.dispose]()
})

const everything = (): boolean => true

/** Without what runs on between two looks, and without the kernel's own packets (neighbour discovery, routers). */
function comparable(entries: readonly PrintedEntry[]): readonly unknown[] {
  return entries
    .filter(({ original }) => original['src']?.startsWith('fe80:') !== true)
    .map(({ timeoutSeconds: _, ...entry }) => entry)
    .sort((a, b) => a.id - b.id)
}

async function ours(filter: ConntrackFilter): Promise<readonly unknown[]> {
  return comparable((await table.select(filter, everything)).map(asPrinted))
}

const theirs = (options: string): readonly unknown[] =>
  comparable(parsePrinted(flows.conntrack(`-L -o extended,id ${options}`)))

const find = async (isWanted: (entry: ConntrackEntry) => boolean): Promise<ConntrackEntry> => {
  const [found] = await table.select({}, isWanted)
  if (found === undefined) throw new Error('no such entry')
  return found
}

describe('real flows through translation', () => {
  test.each<[string, ConntrackFilter, string]>([
    ['everything', {}, ''],
    ['IPv4', { family: 4 }, '-f ipv4'],
    ['IPv6', { family: 6 }, '-f ipv6'],
    ['UDP over IPv4', { family: 4, protocolNumber: 17 }, '-f ipv4 -p udp'],
    ['UDP over IPv6', { family: 6, protocolNumber: 17 }, '-f ipv6 -p udp'],
    ['TCP', { family: 4, protocolNumber: 6 }, '-f ipv4 -p tcp'],
    ['by mark', { mark: { value: 0x2a, mask: 0xff } }, '-m 0x2a/0xff'],
    ['of a zone', { zone: 5 }, '-w 5'],
    [
      'of no zone, marked, UDP',
      { family: 4, protocolNumber: 17, zone: 0, mark: { value: 0x2a, mask: 0x2a } },
      '-f ipv4 -p udp -w 0 -m 0x2a/0x2a',
    ],
  ])('%s: the entries that conntrack lists', async (_, filter, options) => {
    const listed = theirs(options)
    expect(await ours(filter)).toEqual(listed)
    expect(listed.length).toBeGreaterThan(0)
  })

  test('where a flow went, by its answer’s source', async () => {
    const entry = await find(
      ({ original, zone }) => original.destination === '10.96.0.10' && original.sourcePort === 4000 && zone === 0,
    )
    expect(entry).toMatchObject({
      family: 4,
      protocol: 'udp',
      original: { source: '10.0.0.1', sourcePort: 4000, destination: '10.96.0.10', destinationPort: 53 },
      reply: { source: '10.1.0.2', sourcePort: 5353, destination: '10.0.0.1', destinationPort: 4000 },
      status: { hasSeenReply: true, isConfirmed: true, isDestinationNat: true, isSourceNat: false, isDying: false },
      mark: 0x2a,
    })
    expect(entry.timeoutSeconds).toBeGreaterThan(0)
  })

  test('one that was masqueraded too', async () => {
    const entry = await find(({ protocol }) => protocol === 'tcp')
    expect(entry).toMatchObject({
      reply: { source: '10.1.0.3', sourcePort: 8080, destination: '10.1.0.254' },
      status: { isAssured: true, isDestinationNat: true, isSourceNat: true },
    })
  })

  test('one that was not translated', async () => {
    const entry = await find(({ original }) => original.sourcePort === 4001)
    expect(entry.status).toMatchObject({ isDestinationNat: false, isSourceNat: false })
  })

  test('only what is wanted', async () => {
    const wanted = await table.select({ family: 4, protocolNumber: 17 }, ({ reply }) => reply.sourcePort === 5353)
    expect(wanted.map(({ original }) => original.sourcePort).sort()).toEqual([4000, 4001])
  })
})

test('counts are conntrack’s', () => {
  expect(table.count().entries).toBe(Number(flows.conntrack('-C')))
  expect(table.count().maximum).toBe(Number(flows.node.sysctl('net/netfilter/nf_conntrack_max')))
  const counted = (name: string): number =>
    [...flows.conntrack('-S').matchAll(new RegExp(`\\b${name}=(\\d+)`, 'g'))].reduce(
      (sum, [, count]) => sum + Number(count),
      0,
    )
  expect(table.counters()).toMatchObject({
    inserted: counted('insert'),
    invalid: counted('invalid'),
    dropped: counted('drop'),
  })
  expect(table.counters().inserted).toBeGreaterThan(0)
})

describe('deleting', () => {
  test.each<[string, (entry: ConntrackEntry) => boolean]>([
    ['UDP in a zone, not the same flow outside of it', ({ zone }) => zone === 5],
    ['SCTP', ({ protocol }) => protocol === 'sctp'],
    ['ICMP', ({ protocol, family }) => protocol === 'icmp' && family === 4],
    ['UDP over IPv6', ({ protocol, family }) => protocol === 'udp' && family === 6],
    ['TCP', ({ protocol }) => protocol === 'tcp'],
  ])('%s takes that entry and no other', async (_, isWanted) => {
    const before = await table.select({}, everything)
    const entry = await find(isWanted)
    expect(await table.delete([entry])).toBe(1)
    const left = theirs('')
    expect(left).toEqual(comparable(before.filter(({ id }) => id !== entry.id).map(asPrinted)))
    expect(await table.delete([entry])).toBe(0)
  })

  test('spares a connection of another identity with the same addresses and ports', async () => {
    flows.conntrack('-I -p udp -s 10.0.0.1 -d 10.0.0.9 --sport 77 --dport 78 -t 300')
    const entry = await find(({ original }) => original.sourcePort === 77)
    expect(await table.delete([{ ...entry, id: (entry.id ^ 1) >>> 0 }])).toBe(0)
    expect(await table.delete([entry])).toBe(1)
  })

  test('many at once, of which some are gone', async () => {
    flows.insertFlows(3000)
    const others = theirs('').length - 3000
    const many = await table.select({ family: 4 }, ({ original }) => original.destination === '10.8.0.1')
    expect(many).toHaveLength(3000)
    expect(await table.delete(many.slice(0, 10))).toBe(10)
    expect(await table.delete(many)).toBe(2990)
    expect(theirs('')).toHaveLength(others)
  })

  test('nothing deletes nothing', async () => {
    const before = theirs('')
    expect(await table.delete([])).toBe(0)
    expect(theirs('')).toEqual(before)
  })
})

test('is refused while the table is being read', async () => {
  flows.insertFlows(5000)
  let spentMs = 0
  const reading = table.select({ family: 4 }, () => {
    // Long enough that it lets others run before the end.
    for (const start = performance.now(); spentMs < 20; spentMs += performance.now() - start);
    return true
  })
  expect(() => table.count()).toThrow('a dump is under way')
  expect((await reading).length).toBeGreaterThan(4999)
  expect(table.count().entries).toBeGreaterThan(4999)
})
