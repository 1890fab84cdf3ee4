import { describe, expect, it, test } from 'vitest'
import { cidrContains, formatCidr, parseIpv4Cidr } from '../base/cidr.ts'
import type { Vnic } from '../base/vnic.ts'
import { decodeLink, dumpLinks, type Link } from '../linux/netlink/link.ts'
import { apply } from './apply.ts'
import { diff } from './diff.ts'
import { TestNetns } from './netns.fixture.ts'
import { observe } from './observe.ts'
import { cidr4, ip4, mac, testLink, testVnic } from './plan.fixture.ts'
import { kernelText, planText } from './plan-text.fixture.ts'
import { locateVnic, planVnics } from './vnic-plan.ts'

const primary = testVnic('primary', '02:00:17:00:00:01', [], {
  isPrimary: true,
  subnetCidr: cidr4('10.0.0.0/24'),
  routerIp: ip4('10.0.0.1'),
  primaryAddress: ip4('10.0.0.2'),
})
const podVnic = testVnic('pods', '02:00:17:00:00:02', ['10.0.4.9', '10.0.4.200'], { primaryAddress: ip4('10.0.4.8') })

const scenarios: Readonly<Record<string, readonly Vnic[]>> = {
  'one-secondary': [primary, podVnic],
  // The addresses of two pod VNICs and the node's own one, interleaved.
  'one-subnet': [
    { ...primary, subnetCidr: cidr4('10.0.4.0/24'), routerIp: ip4('10.0.4.1'), primaryAddress: ip4('10.0.4.10') },
    podVnic,
    testVnic('more', '02:00:17:00:00:03', ['10.0.4.11', '10.0.4.201'], { primaryAddress: ip4('10.0.4.130') }),
  ],
  'two-subnets': [
    primary,
    podVnic,
    testVnic('other', '02:00:17:00:00:03', ['10.0.5.9'], {
      subnetCidr: cidr4('10.0.5.0/24'),
      routerIp: ip4('10.0.5.1'),
    }),
  ],
  'pods-on-the-primary': [{ ...primary, addresses: ['10.0.0.9', '10.0.0.10'].map(ip4) }],
}

/** The interface indexes that a scenario's VNICs have: 11, 12, 13. */
const ifindexOf = (index: number): number => 11 + index

describe.each(Object.entries(scenarios))('planVnics, %s', (name, vnics) => {
  const located = vnics.map((vnic, index) => ({ vnic, link: testLink(ifindexOf(index), { mac: vnic.mac }) }))

  it('is as in testdata', async () => {
    const lines = planText(planVnics(located, 9000))
    await expect(`${lines.join('\n')}\n`).toMatchFileSnapshot(`testdata/vnic-plan-${name}.txt`)
  })

  it('is what `ip` shows once it is applied, and is then complete', async () => {
    using node = new TestNetns()
    vnics.forEach((vnic, index) => addVnic(node, vnic, ifindexOf(index)))
    const links = node.socket.dump(dumpLinks(false), decodeLink)
    const found = vnics.flatMap((vnic) => {
      const link = locateVnic(vnic, links)
      return link === undefined ? [] : [{ vnic, link }]
    })
    const plan = planVnics(found, 9000)
    expect(apply(diff(plan, observe(node.socket)), node.socket)).toEqual({ ok: true, value: undefined })
    const lines = kernelText(node, plan)
    await expect(`${lines.join('\n')}\n`).toMatchFileSnapshot(`testdata/vnic-plan-${name}.txt`)
    expect(diff(plan, observe(node.socket))).toEqual([])
  })
})

describe('planVnics', () => {
  it('needs a single rule besides the pods’ one for a VNIC with 200 addresses', () => {
    const addresses = Array.from({ length: 200 }, (_, index) => `10.0.4.${index + 2}`)
    const plan = planVnics([{ vnic: testVnic('a', '02:00:17:00:00:02', addresses), link: testLink(3) }], 9000)
    expect(planText({ ...plan, links: [], routes: [] })).toEqual([
      'rule 512: from all lookup 20000 proto 118',
      'rule 1536: from 10.0.4.0/24 fwmark 0/0x1000 lookup 30003 proto 118',
    ])
  })

  it('sends no packet of the node’s own address through a pod VNIC of the same subnet', () => {
    const vnics = scenarios['one-subnet'] ?? []
    const located = vnics.map((vnic, index) => ({ vnic, link: testLink(ifindexOf(index)) }))
    const sources = planVnics(located, 9000).rules.map(({ from }) => parseIpv4Cidr(from ? formatCidr(from) : ''))
    expect(sources.filter((source) => source.ok && cidrContains(source.value, ip4('10.0.4.10')))).toEqual([])
    expect(sources.filter((source) => source.ok && cidrContains(source.value, ip4('10.0.4.9')))).toHaveLength(1)
  })

  it('keeps the pods’ rule when there is no VNIC at all', () => {
    expect(planText(planVnics([], 9000))).toEqual(['rule 512: from all lookup 20000 proto 118'])
  })

  test('no VNIC’s table is one of the kernel’s own (253 to 255) or the pods’', () => {
    const tables = [1, 2, 223, 224, 225, 65_536, 2 ** 31 - 30_001].flatMap((ifindex) =>
      planVnics([{ vnic: podVnic, link: testLink(ifindex) }], 9000).routes.map(({ table }) => table),
    )
    expect(tables.filter((table) => [253, 254, 255].includes(table))).toEqual([])
  })
})

describe('locateVnic', () => {
  const vnic = testVnic('a', '02:00:17:00:00:02', [])
  const named = (name: string, ifindex: number, change: Partial<Link> = {}): Link =>
    testLink(ifindex, { name, mac: vnic.mac, ...change })

  test.each<[what: string, links: readonly Link[], found: string | undefined]>([
    ['finds the interface with the MAC', [testLink(2, { mac: mac('02:00:17:00:00:09') }), named('ens5', 3)], 'ens5'],
    ['finds it whatever it is called', [named('enp0s5f1', 3)], 'enp0s5f1'],
    ['finds it while it is down', [named('ens5', 3, { up: false })], 'ens5'],
    ['finds nothing where no interface has the MAC', [testLink(2, { mac: mac('02:00:17:00:00:09') })], undefined],
    ['finds nothing among interfaces without a MAC', [testLink(2, { name: 'tun0' })], undefined],
    ['prefers the hardware to a VLAN on top of it', [named('ens5.100', 9, { kind: 'vlan' }), named('ens5', 3)], 'ens5'],
    [
      'prefers the hardware to a bridge that came first',
      [named('br0', 2, { kind: 'bridge' }), named('ens5', 3)],
      'ens5',
    ],
    ['prefers the hardware to a bond on top of it', [named('ens5', 3), named('bond0', 4, { kind: 'bond' })], 'ens5'],
    [
      'takes the first of several virtual ones, which the others are made from (the lab)',
      [named('ens5.100', 9, { kind: 'vlan' }), named('ens5', 3, { kind: 'veth' })],
      'ens5',
    ],
  ])('%s', (_what, links, found) => {
    expect(locateVnic(vnic, links)?.name).toBe(found)
  })

  it('finds the VNIC in the kernel below a bridge that has taken its MAC over', () => {
    using node = new TestNetns()
    addVnic(node, vnic, 11)
    node.ip('link add br0 index 12 type bridge')
    node.ip('link set vnic11 master br0')
    const links = node.socket.dump(dumpLinks(false), decodeLink)
    expect(links.find(({ name }) => name === 'br0')?.mac).toBe(vnic.mac)
    expect(locateVnic(vnic, links)?.name).toBe('vnic11')
  })
})

function addVnic(node: TestNetns, vnic: Vnic, ifindex: number): void {
  node.ip(`link add vnic${ifindex} index ${ifindex} mtu 9000 address ${vnic.mac} type veth peer name far${ifindex}`)
  node.ip(`link set far${ifindex} up`)
}
