import { afterAll, beforeAll, describe, expect, it, test } from 'vitest'
import { hostCidr } from '../base/cidr.ts'
import { ipv4FromNumber } from '../base/ip.ts'
import type { Route } from '../linux/netlink/route.ts'
import type { Rule } from '../linux/netlink/rule.ts'
import { apply } from './apply.ts'
import { diff, type Operation } from './diff.ts'
import { snapshot, TestNetns } from './netns.fixture.ts'
import { observe } from './observe.ts'
import { cidr4, ip4, mac } from './plan.fixture.ts'
import { emptyPlan } from './state.ts'

const near = 11
const gone = 999
const router = hostCidr(ip4('10.0.4.1'))
const direct: Route = { table: 30_011, destination: router, ifindex: near, scope: 'link', protocol: 118 }
const rule: Rule = { family: 4, priority: 1536, from: cidr4('10.0.4.0/24'), table: 30_011, protocol: 118 }
const address = { ifindex: near, cidr: hostCidr(ip4('10.0.4.8')), scope: 'global' } as const
const neighbour = { ifindex: near, address: ip4('10.0.4.1'), mac: mac('02:00:00:00:00:01') }

let node: TestNetns

beforeAll(() => {
  node = new TestNetns()
  node.ip(`link add near index ${near} mtu 9000 type veth peer name far`)
  node.ip('link set near up')
})

afterAll(() => {
  node[Symbol.dispose]()
})

const ours = (command: string): readonly string[] => node.ipLines(command).filter((line) => line.includes(' proto 118'))

describe('apply', () => {
  it('does nothing for no operation', () => {
    const before = snapshot(node)
    expect(apply([], node.socket)).toEqual({ ok: true, value: undefined })
    expect(snapshot(node)).toEqual(before)
  })

  test.each<[what: string, operation: Operation, shows: string, line: string]>([
    ['an alias', { kind: 'link.change', link: { ifindex: near, alias: 'x y' } }, 'link show dev near', 'alias x y'],
    ['an address', { kind: 'address.add', address }, 'address show dev near', 'inet 10.0.4.8/32 scope global near'],
    [
      'a neighbour',
      { kind: 'neighbour.set', neighbour },
      'neighbour show',
      '10.0.4.1 dev near lladdr 02:00:00:00:00:01 PERMANENT',
    ],
    [
      'a route',
      { kind: 'route.replace', route: direct },
      'route show table 30011',
      '10.0.4.1 dev near proto 118 scope link linkdown',
    ],
    ['a rule', { kind: 'rule.add', rule }, 'rule show', '1536:	from 10.0.4.0/24 lookup 30011 proto 118'],
    [
      'a rule for packets without a mark',
      { kind: 'rule.add', rule: { ...rule, protocol: 4, unlessMarked: 0x1000 } },
      'rule show',
      '1536:	from 10.0.4.0/24 fwmark 0/0x1000 lookup 30011 proto static',
    ],
  ])('makes %s, and finds no fault with it being there already', (_what, operation, shows, line) => {
    expect(apply([operation], node.socket)).toEqual({ ok: true, value: undefined })
    expect(node.ipLines(shows)).toContain(line)
    const before = snapshot(node)
    expect(apply([operation], node.socket)).toEqual({ ok: true, value: undefined })
    expect(snapshot(node)).toEqual(before)
  })

  test.each<[what: string, operation: Operation, shows: string]>([
    ['a route', { kind: 'route.delete', route: direct }, 'route show table all'],
    ['a rule', { kind: 'rule.delete', rule }, 'rule show'],
  ])('deletes %s, and finds no fault with it being gone already', (_what, operation, shows) => {
    expect(
      apply(
        [
          { kind: 'route.replace', route: direct },
          { kind: 'rule.add', rule },
        ],
        node.socket,
      ).ok,
    ).toBe(true)
    expect(apply([operation], node.socket)).toEqual({ ok: true, value: undefined })
    expect(ours(shows)).toEqual([])
    expect(apply([operation], node.socket)).toEqual({ ok: true, value: undefined })
  })

  it('finds no fault with a route that went away with its interface', () => {
    const route = { ...direct, ifindex: gone }
    expect(apply([{ kind: 'route.delete', route }], node.socket)).toEqual({ ok: true, value: undefined })
  })

  test.each<[operation: Operation, words: string, code: string]>([
    [{ kind: 'link.change', link: { ifindex: gone, up: true } }, 'configuring interface 999', 'ENODEV'],
    [{ kind: 'link.change', link: { ifindex: near, mtuBytes: 70_000 } }, 'configuring interface 11', 'EINVAL'],
    [{ kind: 'link.change', link: { ifindex: near, alias: 'x'.repeat(300) } }, 'configuring interface 11', 'ERANGE'],
    [
      { kind: 'address.add', address: { ...address, ifindex: gone } },
      'adding address 10.0.4.8/32 to interface 999',
      'ENODEV',
    ],
    [
      { kind: 'neighbour.set', neighbour: { ...neighbour, ifindex: gone } },
      'setting neighbour 10.0.4.1 on interface 999',
      'ENODEV',
    ],
    [
      {
        kind: 'route.replace',
        route: { ...direct, destination: cidr4('0.0.0.0/0'), gateway: ip4('10.77.0.1'), scope: 'global' },
      },
      'setting route 0.0.0.0/0 via 10.77.0.1 through interface 11 in table 30011',
      'ENETUNREACH',
    ],
    [
      { kind: 'route.replace', route: { ...direct, source: ip4('10.77.0.2') } },
      'setting route 10.0.4.1/32 through interface 11 in table 30011',
      'EINVAL',
    ],
  ])('says what was refused: %j', (operation, words, code) => {
    const applied = apply([operation], node.socket)
    if (applied.ok) throw new Error('was not refused')
    expect(applied.error.map((failure) => [failure.operation, failure.error.code])).toEqual([[words, code]])
  })

  it('carries the rest of a batch out, and names each refusal, in a batch of more than one datagram', () => {
    const adds = Array.from({ length: 600 }, (_, index): Operation => {
      const destination = hostCidr(ipv4FromNumber(0x0a63_0000 + index))
      // Every 200th refers to an interface that there is not.
      return { kind: 'route.replace', route: { ...direct, destination, ifindex: index % 200 === 199 ? gone : near } }
    })
    const applied = apply(adds, node.socket)
    if (applied.ok) throw new Error('was not refused')
    expect(applied.error.map(({ operation }) => operation)).toEqual([
      'setting route 10.99.0.199/32 through interface 999 in table 30011',
      'setting route 10.99.1.143/32 through interface 999 in table 30011',
      'setting route 10.99.2.87/32 through interface 999 in table 30011',
    ])
    expect(node.ipLines('route show table 30011 root 10.99.0.0/16')).toHaveLength(597)
  })

  it('of the diff to an empty plan leaves nothing of ours', () => {
    apply(
      [
        { kind: 'route.replace', route: direct },
        { kind: 'rule.add', rule },
      ],
      node.socket,
    )
    expect(apply(diff(emptyPlan, observe(node.socket)), node.socket)).toEqual({ ok: true, value: undefined })
    expect([...ours('route show table all'), ...ours('rule show')]).toEqual([])
  })
})
