import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { hostCidr } from '../../base/cidr.ts'
import { ipv4FromNumber } from '../../base/ip.ts'
import { unwrap } from '../../base/result.ts'
import { withNetns } from '../netns.ts'
import { TestNetns } from '../test-netns.fixture.ts'
import { RTM_NEWLINK, RTM_NEWNEIGH, RTM_NEWRULE } from './constants.ts'
import { decodeChange, NetlinkMonitor, type NetworkChange } from './monitor.ts'
import { addRoute, type Route } from './route.ts'
import { addRule } from './rule.ts'

function routesToLoopback(count: number): readonly Route[] {
  const common = { table: 20_000, ifindex: 1, scope: 'link', protocol: 118 } as const
  return Array.from({ length: count }, (_, nth) => ({
    ...common,
    destination: hostCidr(ipv4FromNumber(0x0a00_0000 + nth)),
  }))
}

class Listening implements Disposable {
  readonly changes: NetworkChange[] = []
  readonly #monitor: NetlinkMonitor

  constructor(netns: TestNetns) {
    this.#monitor = withNetns(netns.fd, () => new NetlinkMonitor((change) => this.changes.push(change)))
  }

  /** Waits for a change like this one. */
  async expect(change: object): Promise<void> {
    await expect.poll(() => this.changes, { timeout: 20_000 }).toContainEqual(expect.objectContaining(change))
  }

  [Symbol.dispose](): void {
    this.#monitor[Symbol.dispose]()
  }
}

const like = (fields: object): unknown => expect.objectContaining(fields)

/** How many sockets of the namespace listen to something: /proc/net/netlink has a line for each. */
function listeners(netns: TestNetns): number {
  const table = withNetns(netns.fd, () => readFileSync('/proc/thread-self/net/netlink', 'utf8'))
  const [, ...rows] = table.trimEnd().split('\n')
  return rows.filter((row) => row.split(/ +/)[3] !== '00000000').length
}

describe('what ip does is told', () => {
  const route = {
    table: 20_000,
    destination: { address: '10.0.4.7', prefixLength: 32 },
    ifindex: 701,
    scope: 'link',
    protocol: 118,
  }
  const rule = {
    family: 4,
    priority: 1536,
    table: 30_005,
    from: { address: '10.0.4.0', prefixLength: 24 },
    protocol: 118,
  }
  const address = { ifindex: 701, cidr: { address: '10.0.4.1', prefixLength: 24 }, scope: 'global' }
  const link = { ifindex: 701, name: 'oci0' }

  test.each([
    ['a link made', 'link add oci0 index 701 type bridge', [], { kind: 'link.set', link: like(link) }],
    ['a link deleted', 'link del oci0', ['link'], { kind: 'link.deleted', link: like(link) }],
    ['a link set up', 'link set dev oci0 up', ['link'], { kind: 'link.set', link: like({ ...link, up: true }) }],
    ['a link renamed', 'link set dev oci0 name oci1', ['link'], { kind: 'link.set', link: like({ name: 'oci1' }) }],
    [
      'an MTU changed',
      'link set dev oci0 mtu 1400',
      ['link'],
      { kind: 'link.set', link: like({ ...link, mtuBytes: 1400 }) },
    ],
    ['an address added', 'address add 10.0.4.1/24 dev oci0', ['link'], { kind: 'address.set', address }],
    [
      'an address deleted',
      'address del 10.0.4.1/24 dev oci0',
      ['link', 'address'],
      { kind: 'address.deleted', address },
    ],
    [
      'a route added',
      'route add 10.0.4.7 dev oci0 table 20000 proto 118',
      ['link', 'up'],
      { kind: 'route.set', route },
    ],
    ['a route deleted', 'route del 10.0.4.7 table 20000', ['link', 'up', 'route'], { kind: 'route.deleted', route }],
    [
      'a rule added',
      'rule add from 10.0.4.0/24 priority 1536 table 30005 protocol 118',
      [],
      { kind: 'rule.set', rule },
    ],
    ['a rule deleted', 'rule del priority 1536', ['rule'], { kind: 'rule.deleted', rule }],
  ])('%s', async (_what, command, present, change) => {
    const preparation: Readonly<Record<string, string>> = {
      link: 'link add oci0 index 701 type bridge',
      up: 'link set dev oci0 up',
      address: 'address add 10.0.4.1/24 dev oci0',
      route: 'route add 10.0.4.7 dev oci0 table 20000 proto 118',
      rule: 'rule add from 10.0.4.0/24 priority 1536 table 30005 protocol 118',
    }
    using netns = new TestNetns()
    for (const each of present) netns.ip(preparation[each] ?? '')
    using listening = new Listening(netns)
    netns.ip(command)
    await listening.expect(change)
  })

  // The kernel tells of the link alone (net/ipv4/fib_frontend.c, fib_sync_down_dev): whoever keeps routes has to know.
  test('a link that goes down, without its routes that go with it', async () => {
    using netns = new TestNetns()
    netns.ip('link add oci0 index 701 type bridge')
    netns.ip('link set dev oci0 up')
    netns.ip('route add 10.0.4.7 dev oci0 table 20000 proto 118')
    using listening = new Listening(netns)
    netns.ip('link set dev oci0 down')
    netns.ip('rule add priority 99 table 99')
    await listening.expect({ kind: 'rule.set' })
    expect(netns.ipJson('route show table 20000')).toEqual([])
    expect(listening.changes).toContainEqual({ kind: 'link.set', link: like({ ...link, up: false }) })
    expect(listening.changes.filter(({ kind }) => kind === 'route.deleted')).toEqual([])
  })

  test('in the order in which it happened', async () => {
    using netns = new TestNetns()
    using listening = new Listening(netns)
    const priorities = Array.from({ length: 300 }, (_, nth) => 1000 + nth)
    netns.ipBatch(priorities.map((priority) => `rule add priority ${priority} table 100`))
    await listening.expect({ rule: like({ priority: 1299 }) })
    expect(listening.changes.flatMap((change) => (change.kind === 'rule.set' ? [change.rule.priority] : []))).toEqual(
      priorities,
    )
  })

  test('but not what happens in another namespace', async () => {
    using netns = new TestNetns()
    using other = new TestNetns()
    using listening = new Listening(netns)
    other.ip('rule add priority 1 table 100')
    netns.ip('rule add priority 2 table 100')
    await listening.expect({ rule: like({ priority: 2 }) })
    expect(listening.changes).toHaveLength(1)
  })

  test('a link that leaves a bridge is not a link deleted', async () => {
    using netns = new TestNetns()
    netns.ipBatch([
      'link add name br0 type bridge',
      'link add oci0 type veth peer name oci1',
      'link set dev oci0 master br0',
    ])
    using listening = new Listening(netns)
    netns.ip('link set dev oci0 nomaster')
    netns.ip('rule add priority 2 table 100')
    await listening.expect({ rule: like({ priority: 2 }) })
    expect(new Set(listening.changes.map(({ kind }) => kind))).toEqual(new Set(['link.set', 'rule.set']))
  })
})

describe('a listener that does not keep up', () => {
  test('is told that something was lost, and of everything that happens from then on', async () => {
    using netns = new TestNetns()
    const changes: NetworkChange[] = []
    const afterwards = { family: 4, priority: 7, table: 100, protocol: 118 } as const
    using _monitor = withNetns(netns.fd, () => {
      const listener = (change: NetworkChange): void => {
        changes.push(change)
        if (change.kind === 'lost') unwrap(netns.socket.request([addRule(afterwards)]))
      }
      return new NetlinkMonitor(listener, { receiveBufferBytes: 4096 })
    })
    // Synchronous: the event loop stands still, and the kernel has no room for so many.
    unwrap(netns.socket.request(routesToLoopback(500).map(addRoute)))
    await expect.poll(() => changes.at(-1), { timeout: 20_000 }).toEqual({ kind: 'rule.set', rule: afterwards })
    expect(changes.filter(({ kind }) => kind === 'lost')).toHaveLength(1)
    expect(changes.length).toBeLessThan(500)
  })

  test('loses nothing of 2000 changes with the room it has by default', async () => {
    using netns = new TestNetns()
    using listening = new Listening(netns)
    const routes = routesToLoopback(2000)
    unwrap(netns.socket.request(routes.map(addRoute)))
    await expect.poll(() => listening.changes.length, { timeout: 20_000 }).toBe(2000)
    expect(listening.changes).toEqual(routes.map((route) => ({ kind: 'route.set', route })))
  })
})

describe('a monitor that is disposed of', () => {
  test('tells nothing any more, and closes its socket', async () => {
    using netns = new TestNetns()
    const listening = new Listening(netns)
    expect(listeners(netns)).toBe(1)
    listening[Symbol.dispose]()
    listening[Symbol.dispose]()
    netns.ip('rule add priority 1 table 100')
    await expect.poll(() => listeners(netns), { timeout: 20_000 }).toBe(0)
    expect(listening.changes).toEqual([])
  })

  test('by its own listener, tells not even the rest of what it has', async () => {
    using netns = new TestNetns()
    const changes: NetworkChange[] = []
    const monitor = withNetns(netns.fd, () => {
      return new NetlinkMonitor((change) => {
        changes.push(change)
        monitor[Symbol.dispose]()
      })
    })
    netns.ipBatch(Array.from({ length: 50 }, (_, nth) => `rule add priority ${100 + nth} table 100`))
    await expect.poll(() => listeners(netns), { timeout: 20_000 }).toBe(0)
    expect(changes).toMatchObject([{ kind: 'rule.set', rule: { priority: 100 } }])
  })

  test('many times over, leaves nothing behind', async () => {
    using netns = new TestNetns()
    const before = process.listenerCount('exit')
    for (let count = 0; count < 30; count++) new Listening(netns)[Symbol.dispose]()
    await expect.poll(() => listeners(netns), { timeout: 20_000 }).toBe(0)
    expect(process.listenerCount('exit')).toBe(before)
  })
})

// The read that waits in the kernel cannot be cancelled, and exit(3) waits for the thread that makes it.
test.each([
  ['dispose', 0],
  ['exit', 3],
  ['exception', 1],
])('a process that listens can end by %s', (way, code) => {
  const child = new URL('monitor.child.ts', import.meta.url).pathname
  const { status, signal } = spawnSync(process.execPath, [child, way], { timeout: 20_000, killSignal: 'SIGKILL' })
  expect({ status, signal }).toEqual({ status: code, signal: null })
})

describe('decodeChange', () => {
  const message = (type: number, body: Buffer) => ({ type, flags: 0, sequence: 0, body })

  test('passes over what it is not asked for', () => {
    expect(decodeChange(message(RTM_NEWNEIGH, Buffer.alloc(12)))).toBeUndefined()
    expect(decodeChange(message(2, Buffer.alloc(0)))).toBeUndefined()
  })

  test('passes over ports of bridges', () => {
    const port = Buffer.alloc(16)
    port.writeUInt8(7, 0) // AF_BRIDGE
    expect(decodeChange(message(RTM_NEWLINK, port))).toBeUndefined()
  })

  test('tells a rule of multicast routing as one that is not ours', () => {
    const rule = Buffer.alloc(12)
    rule.writeUInt8(128, 0) // RTNL_FAMILY_IPMR
    rule.writeUInt8(1, 7)
    expect(decodeChange(message(RTM_NEWRULE, rule))).toMatchObject({
      kind: 'rule.set',
      rule: { hasOtherSelectors: true },
    })
  })

  test('takes an empty body for malformed', () => {
    expect(() => decodeChange(message(RTM_NEWLINK, Buffer.alloc(0)))).toThrow('a body of 0 bytes where 16 are due')
  })
})
