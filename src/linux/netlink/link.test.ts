import { describe, expect, test } from 'vitest'
import { parseMac } from '../../base/mac.ts'
import { unwrap } from '../../base/result.ts'
import { TestNetns } from '../test-netns.fixture.ts'
import type { NetlinkError } from './failure.ts'
import {
  changeLink,
  createVeth,
  decodeLink,
  deleteLink,
  dumpLinks,
  getLink,
  type Ipv4Conf,
  type Link,
  type VethEnd,
} from './link.ts'
import type { NetlinkRequest } from './wire.ts'

const near = { name: 'oci0', mac: unwrap(parseMac('02:00:17:00:00:01')), mtuBytes: 9000, ifindex: 701 }
const far = { name: 'eth0', mac: unwrap(parseMac('02:00:17:00:00:02')), mtuBytes: 9000, ifindex: 702 }

const link = (netns: TestNetns, ifindex: number): Link => unwrap(netns.socket.get(getLink({ ifindex }), decodeLink))

function refusals(netns: TestNetns, ...requests: readonly NetlinkRequest[]): readonly NetlinkError[] {
  const done = netns.socket.request(requests)
  return done.ok ? [] : done.error
}

function twoEnds(node: TestNetns, pod: TestNetns, end: Partial<VethEnd> = {}): void {
  unwrap(node.socket.request([createVeth({ ...near, ...end }, { ...far, netnsFd: pod.fd.number })]))
}

describe('a veth pair across two namespaces', () => {
  test('has at either end what was asked for, from its creation on', () => {
    using node = new TestNetns()
    using pod = new TestNetns()
    twoEnds(node, pod, { up: true })
    expect(node.ipJson('link show oci0')).toMatchObject([
      { ifindex: 701, ifname: 'oci0', mtu: 9000, address: near.mac, link_index: 702, linkinfo: { info_kind: 'veth' } },
    ])
    expect(pod.ipJson('link show eth0')).toMatchObject([
      { ifindex: 702, ifname: 'eth0', mtu: 9000, address: far.mac, link_index: 701, linkinfo: { info_kind: 'veth' } },
    ])
    expect(node.ipJson('link show oci0')[0]).toMatchObject({ flags: expect.arrayContaining(['UP']) as unknown })
    expect(pod.ipJson('link show eth0')[0]).toMatchObject({ flags: expect.not.arrayContaining(['UP']) as unknown })
  })

  test('reads back as it is, by index and by name', () => {
    using node = new TestNetns()
    using pod = new TestNetns()
    twoEnds(node, pod, { up: true })
    const { ifindex, name, mtuBytes, mac } = near
    expect(link(node, 701)).toMatchObject({ ifindex, name, mtuBytes, mac, up: true, kind: 'veth', peerIfindex: 702 })
    expect(node.socket.get(getLink({ name: 'oci0' }), decodeLink)).toEqual({ ok: true, value: link(node, 701) })
    expect(link(pod, 702)).toMatchObject({ name: 'eth0', up: false, peerIfindex: 701, operState: 2 })
  })

  test('is up at both ends as soon as the far one is set up from its own side', async () => {
    using node = new TestNetns()
    using pod = new TestNetns()
    twoEnds(node, pod, { up: true })
    expect(refusals(pod, changeLink({ ifindex: 702, up: true }))).toEqual([])
    // The kernel announces a carrier in its own time (net/core/link_watch.c).
    await expect.poll(() => [link(node, 701).operState, link(pod, 702).operState], { timeout: 20_000 }).toEqual([6, 6])
  })

  test('can be made with both ends elsewhere, and with indexes of the kernel’s choice', () => {
    using node = new TestNetns()
    using left = new TestNetns()
    using right = new TestNetns()
    const { ifindex: _near, ...nearEnd } = near
    const { ifindex: _far, ...farEnd } = far
    const ends = [
      { ...nearEnd, netnsFd: left.fd.number },
      { ...farEnd, netnsFd: right.fd.number },
    ] as const
    expect(refusals(node, createVeth(...ends))).toEqual([])
    const names = [node, left, right].map((netns) =>
      netns.socket.dump(dumpLinks(false), decodeLink).map(({ name }) => name),
    )
    expect(names).toEqual([['lo'], ['lo', 'oci0'], ['lo', 'eth0']])
  })

  test('goes at both ends when one is deleted', () => {
    using node = new TestNetns()
    using pod = new TestNetns()
    twoEnds(node, pod)
    expect(refusals(node, deleteLink(701))).toEqual([])
    expect(pod.socket.get(getLink({ name: 'eth0' }), decodeLink)).toMatchObject({
      ok: false,
      error: { code: 'ENODEV' },
    })
    expect(refusals(node, deleteLink(701))).toMatchObject([{ code: 'ENODEV' }])
  })

  test.each([
    ['a name that the near namespace has', { ...near, ifindex: 801 }, { ...far, ifindex: 802, name: 'eth1' }, 'EEXIST'],
    ['a name that the far namespace has', { ...near, ifindex: 801, name: 'oci1' }, { ...far, ifindex: 802 }, 'EEXIST'],
    [
      'an index that the near namespace has',
      { ...near, name: 'oci1' },
      { ...far, ifindex: 802, name: 'eth1' },
      'EEXIST',
    ],
    ['an index that the far namespace has', { ...near, ifindex: 801, name: 'oci1' }, { ...far, name: 'eth1' }, 'EBUSY'],
    [
      'a name of 16 characters',
      { ...near, ifindex: 801, name: 'oci4567890123456' },
      { ...far, ifindex: 802 },
      'ERANGE',
    ],
    ['an empty name', { ...near, ifindex: 801, name: '' }, { ...far, ifindex: 802, name: 'eth1' }, 'EINVAL'],
    [
      'an MTU below the least',
      { ...near, ifindex: 801, name: 'oci1', mtuBytes: 67 },
      { ...far, ifindex: 802, name: 'eth1' },
      'EINVAL',
    ],
  ])('%s is refused, and nothing is left behind', (_what, nearEnd, farEnd, code) => {
    using node = new TestNetns()
    using pod = new TestNetns()
    twoEnds(node, pod)
    const before = [node.ipJson('link show'), pod.ipJson('link show')]
    const errors = refusals(node, createVeth(nearEnd, { ...farEnd, netnsFd: pod.fd.number }))
    expect(errors).toMatchObject([{ code, requestIndex: 0 }])
    expect([node.ipJson('link show'), pod.ipJson('link show')]).toEqual(before)
  })
})

describe('changes of a link', () => {
  test('each of them takes effect, alone and together', () => {
    using node = new TestNetns()
    using pod = new TestNetns()
    twoEnds(node, pod)
    const mac = unwrap(parseMac('02:00:17:00:00:09'))
    unwrap(
      node.socket.request([changeLink({ ifindex: 701, alias: 'vcn-cni a/b/c' }), changeLink({ ifindex: 701, mac })]),
    )
    expect(node.ipJson('link show oci0')).toMatchObject([{ ifalias: 'vcn-cni a/b/c', address: mac, mtu: 9000 }])
    unwrap(
      node.socket.request([
        changeLink({ ifindex: 701, up: true, mtuBytes: 1500, name: 'oci1', mac: near.mac, alias: 'x' }),
      ]),
    )
    expect(node.ipJson('link show oci1')).toMatchObject([{ ifalias: 'x', address: near.mac, mtu: 1500, ifindex: 701 }])
    expect(link(node, 701)).toMatchObject({ name: 'oci1', alias: 'x', mac: near.mac, mtuBytes: 1500, up: true })
    unwrap(node.socket.request([changeLink({ ifindex: 701, up: false })]))
    expect(link(node, 701)).toMatchObject({ name: 'oci1', up: false })
  })

  test('an alias may have 255 bytes, and be cleared', () => {
    using node = new TestNetns()
    using pod = new TestNetns()
    twoEnds(node, pod)
    const alias = 'é'.repeat(127) + 'x'
    expect(Buffer.byteLength(alias)).toBe(255)
    expect(refusals(node, changeLink({ ifindex: 701, alias }))).toEqual([])
    expect(link(node, 701).alias).toBe(alias)
    expect(refusals(node, changeLink({ ifindex: 701, alias: 'x'.repeat(256) }))).toMatchObject([{ code: 'ERANGE' }])
    expect(refusals(node, changeLink({ ifindex: 701, alias: '' }))).toEqual([])
    expect(link(node, 701)).not.toHaveProperty('alias')
    expect(node.ipJson('link show oci0')[0]).not.toHaveProperty('ifalias')
  })

  test.each([
    ['a link that is missing', { ifindex: 799, up: true }, 'ENODEV', ''],
    ['an MTU that is too large', { ifindex: 701, mtuBytes: 70_000 }, 'EINVAL', 'mtu greater than device maximum'],
    ['an MTU that is too small', { ifindex: 701, mtuBytes: 60 }, 'EINVAL', 'mtu less than device minimum'],
    ['a name that is taken', { ifindex: 701, name: 'lo' }, 'EEXIST', ''],
  ])('%s is refused in words', (_what, change, code, sentence) => {
    using node = new TestNetns()
    using pod = new TestNetns()
    twoEnds(node, pod)
    expect(refusals(node, changeLink(change))).toMatchObject([
      { name: 'NetlinkError', code, message: expect.stringContaining(sentence) as unknown },
    ])
  })
})

const knobFiles = {
  forwarding: 'forwarding',
  proxyArp: 'proxy_arp',
  sendRedirects: 'send_redirects',
  rpFilter: 'rp_filter',
} as const

describe('IPv4 knobs of an interface', () => {
  const rows: readonly (readonly [keyof Ipv4Conf, number])[] = [
    ['forwarding', 1],
    ['forwarding', 0],
    ['proxyArp', 1],
    ['proxyArp', 0],
    ['sendRedirects', 1],
    ['sendRedirects', 0],
    ['rpFilter', 0],
    ['rpFilter', 1],
    ['rpFilter', 2],
  ]
  test.each(rows)('%s = %i is what /proc shows, and no other knob changes', (knob, value) => {
    using node = new TestNetns()
    using pod = new TestNetns()
    twoEnds(node, pod)
    const opposite = { forwarding: 1 - Math.min(value, 1), proxyArp: 1, sendRedirects: 1, rpFilter: 1 }
    unwrap(node.socket.request([changeLink({ ifindex: 701, ipv4Conf: opposite })]))
    expect(refusals(node, changeLink({ ifindex: 701, ipv4Conf: { [knob]: value } }))).toEqual([])
    const expected = { ...opposite, [knob]: value }
    const inProc = Object.entries(knobFiles).map(([name, file]) => [
      name,
      Number(node.sysctl(`net/ipv4/conf/oci0/${file}`)),
    ])
    expect(Object.fromEntries(inProc)).toEqual(expected)
    expect(link(node, 701).ipv4Conf).toEqual(expected)
  })

  test('those of other interfaces, and the default, stay', () => {
    using node = new TestNetns()
    using pod = new TestNetns()
    twoEnds(node, pod)
    const others = ['all', 'default', 'lo'].map((name) => `net/ipv4/conf/${name}/forwarding`)
    const before = others.map((name) => node.sysctl(name))
    unwrap(node.socket.request([changeLink({ ifindex: 701, ipv4Conf: { forwarding: 1, rpFilter: 2 } })]))
    expect(others.map((name) => node.sysctl(name))).toEqual(before)
  })

  test('every value that /proc takes reads back over netlink', () => {
    using node = new TestNetns()
    const values = [0, 1, 2].map((value) => {
      node.ip('link show lo')
      unwrap(node.socket.request([changeLink({ ifindex: 1, ipv4Conf: { rpFilter: value } })]))
      return [node.sysctl('net/ipv4/conf/lo/rp_filter'), link(node, 1).ipv4Conf.rpFilter]
    })
    expect(values).toEqual([
      ['0', 0],
      ['1', 1],
      ['2', 2],
    ])
  })
})

test('without IPv6 address generation an interface gets no link-local address', () => {
  using node = new TestNetns()
  using pod = new TestNetns()
  twoEnds(node, pod)
  unwrap(node.socket.request([changeLink({ ifindex: 701, up: true, ipv6AddressGeneration: 'none' })]))
  unwrap(pod.socket.request([changeLink({ ifindex: 702, up: true })]))
  expect(node.sysctl('net/ipv6/conf/oci0/addr_gen_mode')).toBe('1')
  expect(pod.sysctl('net/ipv6/conf/eth0/addr_gen_mode')).toBe('0')
  expect(pod.ip('-6 -br address show eth0')).toContain('fe80::')
  expect(node.ip('-6 -br address show oci0')).not.toContain('fe80::')
})

test('counters are those that ip shows', () => {
  using node = new TestNetns()
  using pod = new TestNetns()
  unwrap(node.socket.request([createVeth({ ...near }, { ...far, netnsFd: pod.fd.number })]))
  unwrap(node.socket.request([changeLink({ ifindex: 701, up: true, ipv6AddressGeneration: 'none' })]))
  unwrap(pod.socket.request([changeLink({ ifindex: 702, up: true, ipv6AddressGeneration: 'none' })]))
  node.ip('address add 10.0.4.1/24 dev oci0')
  pod.ip('address add 10.0.4.7/24 dev eth0')
  node.ip(`netns exec ${node.name} ping -n -q -c 3 -i 0.01 -s 1000 10.0.4.7`)
  const counters = (): readonly unknown[] =>
    node.socket.dump(dumpLinks(true), decodeLink).map(({ name, counters: values }) => ({ name, ...values }))
  const [before, shown, after] = [counters(), node.ipJson('-s link show'), counters()]
  expect(after).toEqual(before)
  expect(before).toEqual(
    shown.map(({ ifname, stats64 }) => {
      const { rx, tx } = stats64 as Record<'rx' | 'tx', { packets: number; bytes: number }>
      return {
        name: ifname,
        rxPackets: BigInt(rx.packets),
        txPackets: BigInt(tx.packets),
        rxBytes: BigInt(rx.bytes),
        txBytes: BigInt(tx.bytes),
      }
    }),
  )
  expect(link(node, 701).counters?.txBytes).toBeGreaterThan(3n * 1028n)
})
