import { describe, expect, it, test } from 'vitest'
import { cidrContains, type Ipv4Cidr } from '../base/cidr.ts'
import { type Ipv4, ipv4FromNumber, ipv4ToNumber, isIpv4 } from '../base/ip.ts'
import type { Vnic } from '../base/vnic.ts'
import { interfaceTable } from '../datapath/layout.ts'
import { ip4 } from '../datapath/plan.fixture.ts'
import { NetlinkMonitor, type NetworkChange } from '../linux/netlink/monitor.ts'
import type { Rule } from '../linux/netlink/rule.ts'
import { withNetns } from '../linux/netns.ts'
import { otherVnic, podVnic, primary, TestNode, until } from './node-network.fixture.ts'

const sourceRules = (node: TestNode): readonly string[] =>
  node.netns.ipLines('rule show').filter((line) => line.startsWith('1536:'))

describe('NodeNetwork, when VNICs come and go', () => {
  it('sets a VNIC up that appears later', async () => {
    using node = new TestNode()
    node.network.setVnics([primary, podVnic])
    expect(node.network.problems).toEqual(['VNIC pods: no interface has MAC 02:00:17:00:00:02'])
    // Until then its pods, had it any, must not send by another VNIC.
    expect(sourceRules(node)).toEqual(['1536:	from 10.0.4.0/24 fwmark 0/0x1000 lookup 29999 proto 118'])
    expect(node.netns.ipLines('route show table 29999')).toEqual(['unreachable default proto 118'])
    node.plug(podVnic)
    await until(() => node.network.problems, [])
    expect(sourceRules(node)).toEqual(['1536:	from 10.0.4.0/24 fwmark 0/0x1000 lookup 30011 proto 118'])
    expect(node.netns.ipLines('-o link show dev ens5')[0]).toMatch(/\bUP\b.* mtu 9000 /)
    expect(node.netns.ipLines('route show table 30011')).toEqual([
      'default via 10.0.4.1 dev ens5 proto 118',
      '10.0.4.1 dev ens5 proto 118 scope link',
    ])
  })

  it('finds it by its MAC, which it may get after it has appeared', async () => {
    using node = new TestNode()
    node.network.setVnics([primary, podVnic])
    node.netns.ip('link add name ens5 index 11 type veth peer name w5')
    await until(() => node.network.problems, ['VNIC pods: no interface has MAC 02:00:17:00:00:02'])
    node.netns.ip(`link set ens5 address ${podVnic.mac}`)
    await until(() => node.network.problems, [])
  })

  it('names a VNIC that was detached, and lets nothing from its addresses out', async () => {
    using node = new TestNode()
    node.plug(podVnic)
    node.plug(otherVnic)
    node.network.setVnics([primary, podVnic, otherVnic])
    expect(sourceRules(node)).toHaveLength(2)
    node.netns.ip('link del ens6')
    await until(() => node.network.problems, ['VNIC more: no interface has MAC 02:00:17:00:00:03'])
    expect(sourceRules(node)).toEqual([
      '1536:	from 10.0.4.0/25 fwmark 0/0x1000 lookup 30011 proto 118',
      '1536:	from 10.0.4.128/25 fwmark 0/0x1000 lookup 29999 proto 118',
    ])
    expect(node.netns.ipLines('route show table all').filter((line) => line.includes('30012'))).toEqual([])
  })

  it('sets it up again when it comes back, with another index', async () => {
    using node = new TestNode()
    node.plug(podVnic)
    node.network.setVnics([primary, podVnic])
    node.netns.ip('link del ens5')
    await until(() => node.network.problems.length, 1)
    node.netns.ip(`link add name ens7 index 33 address ${podVnic.mac} type veth peer name w7`)
    await until(() => node.network.problems, [])
    expect(sourceRules(node)).toEqual(['1536:	from 10.0.4.0/24 fwmark 0/0x1000 lookup 30033 proto 118'])
  })

  it('takes everything of a VNIC away that is listed no more, though its interface stays', () => {
    using node = new TestNode()
    node.network.setVnics([primary])
    const before = node.netns.ipLines('route show table all proto 118')
    node.plug(podVnic)
    node.network.setVnics([primary, podVnic])
    node.network.setVnics([primary])
    expect(node.netns.ipLines('route show table all proto 118')).toEqual(before)
    expect(sourceRules(node)).toEqual([])
  })

  it('says what the kernel refuses, and does the rest', () => {
    using node = new TestNode({ mtuBytes: 70_000 })
    node.plug(podVnic)
    node.network.setVnics([primary, podVnic])
    expect(node.network.problems).toEqual([
      'configuring interface 11: the kernel refused: invalid argument (EINVAL): mtu greater than device maximum',
    ])
    expect(node.netns.ipLines('-o link show dev ens5')[0]).toMatch(/\bUP\b.* mtu 9000 /)
    expect(sourceRules(node)).toHaveLength(1)
  })

  it('forwards on the VNICs’ interfaces and, for packets that come in, on the node', () => {
    using node = new TestNode()
    node.plug(podVnic)
    node.network.setVnics([primary, podVnic])
    expect(node.netns.sysctl('net/ipv4/ip_forward')).toBe('1')
    expect(node.ours()).toContain('ens5 rp_filter 2')
    expect(node.ours()).toContain('ens3 rp_filter 2')
  })
})

/** Which table the rules send packets from an address to; the first rule that matches, as the kernel does it. */
function tableOf(address: Ipv4, rules: readonly Rule[]): number | undefined {
  return rules.find(({ from }) => from !== undefined && cidrContains(asIpv4(from), address))?.table
}

function asIpv4({ address, prefixLength }: NonNullable<Rule['from']>): Ipv4Cidr {
  if (!isIpv4(address)) throw new Error(`${address} is not IPv4`)
  return { address, prefixLength }
}

const sameRule = (a: Rule, b: Rule): boolean =>
  a.table === b.table && a.unlessMarked === b.unlessMarked && JSON.stringify(a.from) === JSON.stringify(b.from)

describe('NodeNetwork, after an agent whose rules did not know of the mark', () => {
  const marked = '1536:	from 10.0.4.0/24 fwmark 0/0x1000 lookup 30011 proto 118'
  const [without, withMask] = ['', 'fwmark 0/0x1000 '].map(
    (mask) => `rule add priority 1536 from 10.0.4.0/24 ${mask}table 30011 protocol 118`,
  )

  // Asked to delete the one without a mask, the kernel takes the first of the two, whichever that is (fib_rules.c, rule_find).
  test.each([
    ['as it left them', [without]],
    ['behind those of a newer one: it was put back for a while', [withMask, without]],
  ])('replaces them, with no moment without a rule: %s', async (_what, left) => {
    using node = new TestNode()
    node.plug(podVnic)
    for (const command of left) node.netns.ip(command ?? '')
    const seen: NetworkChange[] = []
    using _ = withNetns(node.netns.fd, () => new NetlinkMonitor((change) => seen.push(change)))
    node.network.setVnics([primary, podVnic])
    await until(() => sourceRules(node), [marked])
    node.netns.ip('rule add priority 7777 lookup 77')
    await until(() => seen.some((change) => change.kind === 'rule.set' && change.rule.priority === 7777), true)
    let present = left.length
    const counts = seen.flatMap((change) => {
      if (change.kind === 'rule.set' && change.rule.priority === 1536) return [++present]
      return change.kind === 'rule.deleted' && change.rule.priority === 1536 ? [--present] : []
    })
    expect(counts.at(-1)).toBe(1)
    expect(Math.min(...counts)).toBe(1)
    expect(node.network.problems).toEqual([])
  })
})

describe('NodeNetwork, while addresses move between VNICs', () => {
  const pool = Array.from({ length: 60 }, (_, index) => ipv4FromNumber(ipv4ToNumber(ip4('10.0.4.20')) + index * 3))
  const vnicsWith = (isFirst: (index: number) => boolean): readonly Vnic[] => [
    primary,
    { ...podVnic, addresses: pool.filter((_, index) => isFirst(index)) },
    { ...otherVnic, addresses: pool.filter((_, index) => !isFirst(index)) },
  ]
  const ownerTable = (vnics: readonly Vnic[], address: Ipv4): number =>
    interfaceTable(vnics[1]?.addresses.includes(address) ? 11 : 12)

  const divisions: Readonly<Record<string, readonly Vnic[]>> = {
    halves: vnicsWith((index) => index < 30),
    'every other': vnicsWith((index) => index % 2 === 0),
    'one on the second': vnicsWith((index) => index !== 17),
    'all on the first': vnicsWith(() => true),
    'by sevens': vnicsWith((index) => index % 7 < 3),
  }
  const moves = Object.keys(divisions).flatMap((from) =>
    Object.keys(divisions).flatMap((to) => (from === to ? [] : [[from, to] as const])),
  )

  test.each(moves)('from "%s" to "%s" no other address is misrouted for a moment', async (from, to) => {
    const [before, after] = [divisions[from] ?? [], divisions[to] ?? []]
    using node = new TestNode()
    node.plug(podVnic)
    node.plug(otherVnic)
    node.network.setVnics(before)
    const rules = currentRules(node)
    const seen: NetworkChange[] = []
    using _ = withNetns(node.netns.fd, () => new NetlinkMonitor((change) => seen.push(change)))
    node.network.setVnics(after)
    node.netns.ip('rule add priority 7777 lookup 77')
    await until(() => seen.some((change) => change.kind === 'rule.set' && change.rule.priority === 7777), true)

    const stays = pool.filter((address) => ownerTable(before, address) === ownerTable(after, address))
    let present = rules
    const misrouted: string[] = []
    for (const change of seen) {
      if (change.kind === 'rule.set') present = [...present, change.rule]
      else if (change.kind === 'rule.deleted') present = present.filter((rule) => !sameRule(rule, change.rule))
      for (const address of stays) {
        const table = tableOf(address, present)
        if (table !== ownerTable(after, address)) misrouted.push(`${address} to ${table} after ${change.kind}`)
      }
    }
    expect(misrouted).toEqual([])
    for (const address of pool) expect(tableOf(address, present)).toBe(ownerTable(after, address))
  })

  test('the kernel then sends each address through its VNIC', () => {
    using node = new TestNode()
    node.plug(podVnic)
    node.plug(otherVnic)
    const vnics = divisions['by sevens'] ?? []
    node.network.setVnics(divisions['halves'] ?? [])
    node.network.setVnics(vnics)
    const wrong = pool.filter((address) => {
      const [line = ''] = node.netns.ipLines(`route get 192.0.2.1 from ${address} iif wens3`)
      return !line.includes(`dev ${ownerTable(vnics, address) === 30_011 ? 'ens5' : 'ens6'} `)
    })
    expect(wrong).toEqual([])
  })
})

function currentRules(node: TestNode): readonly Rule[] {
  return node.netns
    .ipJson('rule show')
    .filter((object) => object['priority'] === 1536)
    .map((object) => ({
      family: 4,
      priority: 1536,
      table: Number(object['table']),
      from: { address: ip4(String(object['src'])), prefixLength: Number(object['srclen'] ?? 32) },
      unlessMarked: Number(object['fwmask']),
      protocol: 118,
    }))
}
