import { describe, expect, it, test } from 'vitest'
import { hostCidr } from '../base/cidr.ts'
import type { Route } from '../linux/netlink/route.ts'
import type { Rule } from '../linux/netlink/rule.ts'
import { describeOperation } from './apply.ts'
import { diff, missing } from './diff.ts'
import { holding } from './kernel-model.fixture.ts'
import { cidr4, ip4, mac, testLink } from './plan.fixture.ts'
import { emptyPlan, emptyState, type NetnsPlan, type NetnsState } from './state.ts'

const [direct, byDefault, pod] = [
  { table: 30_011, destination: hostCidr(ip4('10.0.4.1')), ifindex: 11, scope: 'link', protocol: 118 },
  {
    table: 30_011,
    destination: cidr4('0.0.0.0/0'),
    gateway: ip4('10.0.4.1'),
    ifindex: 11,
    scope: 'global',
    protocol: 118,
  },
  { table: 20_000, destination: hostCidr(ip4('10.0.4.9')), ifindex: 77, scope: 'link', protocol: 118 },
] as const satisfies readonly Route[]
const rule: Rule = { family: 4, priority: 1536, from: cidr4('10.0.4.0/24'), table: 30_011, protocol: 118 }

const plan: NetnsPlan = {
  links: [
    { ifindex: 11, up: true, mtuBytes: 9000, ipv4Conf: { forwarding: 1, rpFilter: 2 } },
    { ifindex: 77, up: true, alias: 'vcn-cni a/b/c' },
  ],
  addresses: [{ ifindex: 11, cidr: hostCidr(ip4('10.0.4.8')), scope: 'global' }],
  neighbours: [{ ifindex: 77, address: ip4('169.254.1.1'), mac: mac('0a:58:a9:fe:01:01') }],
  // The default route first: the order of the plan must not matter.
  routes: [byDefault, direct, pod],
  rules: [rule],
}
const complete = holding(plan)

const without = <T>(list: readonly T[], gone: T): readonly T[] => list.filter((item) => item !== gone)
const withLinks = (change: (link: NetnsState['links'][number]) => NetnsState['links'][number]): NetnsState => ({
  ...complete,
  links: complete.links.map(change),
})

type Row = readonly [what: string, state: NetnsState, expected: readonly string[]]

const lacks: readonly Row[] = [
  ['nothing is missing: nothing', complete, []],
  [
    'a VNIC is down: it is set up',
    withLinks((link) => (link.ifindex === 11 ? { ...link, up: false } : link)),
    ['configuring interface 11'],
  ],
  [
    'its MTU is another: it is configured',
    withLinks((link) => (link.ifindex === 11 ? { ...link, mtuBytes: 1500 } : link)),
    ['configuring interface 11'],
  ],
  [
    'one of its knobs is another: it is configured',
    withLinks((link) => ({ ...link, ipv4Conf: { ...link.ipv4Conf, rpFilter: 1 } })),
    ['configuring interface 11'],
  ],
  [
    'a knob that is not planned is another: nothing',
    withLinks((link) => ({ ...link, ipv4Conf: { ...link.ipv4Conf, proxyArp: 1, sendRedirects: 0 } })),
    [],
  ],
  [
    'an alias is gone: the interface is configured',
    withLinks(({ alias: _, ...link }) => link),
    ['configuring interface 77'],
  ],
  [
    'an address is missing: it is added',
    { ...complete, addresses: [] },
    ['adding address 10.0.4.8/32 to interface 11'],
  ],
  [
    'the address is on another interface: it is added all the same',
    { ...complete, addresses: complete.addresses.map((address) => ({ ...address, ifindex: 77 })) },
    ['adding address 10.0.4.8/32 to interface 11'],
  ],
  [
    'a neighbour is missing: it is set',
    { ...complete, neighbours: [] },
    ['setting neighbour 169.254.1.1 on interface 77'],
  ],
  [
    'a neighbour has another MAC: it is set',
    { ...complete, neighbours: complete.neighbours.map((each) => ({ ...each, mac: mac('02:00:00:00:00:01') })) },
    ['setting neighbour 169.254.1.1 on interface 77'],
  ],
  [
    'both routes of a VNIC are missing: the router comes before the route through it',
    { ...complete, routes: [pod] },
    [
      'setting route 10.0.4.1/32 through interface 11 in table 30011',
      'setting route 0.0.0.0/0 via 10.0.4.1 through interface 11 in table 30011',
    ],
  ],
  [
    'a route points to another interface: it is replaced and not deleted',
    { ...complete, routes: [direct, byDefault, { ...pod, ifindex: 12 }] },
    ['setting route 10.0.4.9/32 through interface 77 in table 20000'],
  ],
  [
    'another program has the route’s place: it is replaced',
    { ...complete, routes: [direct, byDefault, { ...pod, protocol: 4 }] },
    ['setting route 10.0.4.9/32 through interface 77 in table 20000'],
  ],
  [
    'a route has a source that is not planned: it is replaced',
    { ...complete, routes: [direct, byDefault, { ...pod, source: ip4('10.0.0.2') }] },
    ['setting route 10.0.4.9/32 through interface 77 in table 20000'],
  ],
  [
    'the destination is unreachable with a worse metric: the route is set beside it and that one, ours, goes',
    { ...complete, routes: [direct, byDefault, { ...pod, type: 'unreachable', ifindex: 0, metric: 9 }] },
    [
      'setting route 10.0.4.9/32 through interface 77 in table 20000',
      'deleting route 10.0.4.9/32 through interface 0 in table 20000',
    ],
  ],
  ['a rule is missing: it is added', { ...complete, rules: [] }, ['adding rule 1536: from 10.0.4.0/24 lookup 30011']],
  [
    'a rule looks another table up: the right one is added before it is deleted',
    { ...complete, rules: [{ ...rule, table: 30_012 }] },
    ['adding rule 1536: from 10.0.4.0/24 lookup 30011', 'deleting rule 1536: from 10.0.4.0/24 lookup 30012'],
  ],
  [
    'a rule spares packets with a mark and should not, or the other way round: the right one is added before it is deleted',
    { ...complete, rules: [{ ...rule, unlessMarked: 0x1000 }] },
    [
      'adding rule 1536: from 10.0.4.0/24 lookup 30011',
      'deleting rule 1536: from 10.0.4.0/24 fwmark 0/0x1000 lookup 30011',
    ],
  ],
  [
    'a rule like it holds for some packets only (a mark, an interface): it is added',
    { ...complete, rules: [{ ...rule, hasOtherSelectors: true }] },
    ['adding rule 1536: from 10.0.4.0/24 lookup 30011'],
  ],
]

const surpluses: readonly Row[] = [
  [
    'a route of ours too many: it is deleted',
    { ...complete, routes: [...complete.routes, { ...pod, destination: hostCidr(ip4('10.0.4.10')) }] },
    ['deleting route 10.0.4.10/32 through interface 77 in table 20000'],
  ],
  [
    'a rule of ours too many: it is deleted',
    { ...complete, rules: [rule, { ...rule, from: cidr4('10.0.4.128/25'), table: 30_012 }] },
    ['deleting rule 1536: from 10.0.4.128/25 lookup 30012'],
  ],
  [
    'a rule and its table’s route too many: the rule goes first',
    {
      ...complete,
      routes: [...complete.routes, { ...direct, table: 30_012 }],
      rules: [rule, { ...rule, from: cidr4('10.0.4.128/25'), table: 30_012 }],
    },
    [
      'deleting rule 1536: from 10.0.4.128/25 lookup 30012',
      'deleting route 10.0.4.1/32 through interface 11 in table 30012',
    ],
  ],
  [
    'another program’s route: it stays',
    { ...complete, routes: [...complete.routes, { ...pod, destination: hostCidr(ip4('10.0.4.10')), protocol: 3 }] },
    [],
  ],
  ['another program’s rule: it stays', { ...complete, rules: [rule, { ...rule, priority: 100, protocol: 0 }] }, []],
  [
    'a rule with selectors that we do not know: it stays, whatever its protocol',
    { ...complete, rules: [rule, { ...rule, priority: 100, hasOtherSelectors: true }] },
    [],
  ],
  [
    'a further address, a neighbour, an interface: they stay',
    {
      ...complete,
      links: [...complete.links, testLink(5)],
      addresses: [...complete.addresses, { ifindex: 77, cidr: hostCidr(ip4('10.9.9.9')), scope: 'global' }],
      neighbours: [...complete.neighbours, { ifindex: 5, address: ip4('10.9.9.9'), mac: mac('02:00:00:00:00:01') }],
    },
    [],
  ],
]

describe('diff', () => {
  test.each(lacks)('%s', (_what, state, expected) => {
    expect(diff(plan, state).map(describeOperation)).toEqual(expected)
  })

  test.each(surpluses)('%s', (_what, state, expected) => {
    expect(diff(plan, state).map(describeOperation)).toEqual(expected)
  })

  it('of an empty namespace is the whole plan, in the order in which it can be carried out', () => {
    expect(diff(plan, emptyState).map(describeOperation)).toEqual([
      'configuring interface 11',
      'configuring interface 77',
      'adding address 10.0.4.8/32 to interface 11',
      'setting neighbour 169.254.1.1 on interface 77',
      'setting route 10.0.4.1/32 through interface 11 in table 30011',
      'setting route 10.0.4.9/32 through interface 77 in table 20000',
      'setting route 0.0.0.0/0 via 10.0.4.1 through interface 11 in table 30011',
      'adding rule 1536: from 10.0.4.0/24 lookup 30011',
    ])
  })

  it('of an empty plan takes away what is ours, rules before the routes they lead to', () => {
    expect(diff(emptyPlan, complete).map(describeOperation)).toEqual([
      'deleting rule 1536: from 10.0.4.0/24 lookup 30011',
      'deleting route 0.0.0.0/0 via 10.0.4.1 through interface 11 in table 30011',
      'deleting route 10.0.4.1/32 through interface 11 in table 30011',
      'deleting route 10.0.4.9/32 through interface 77 in table 20000',
    ])
  })
})

describe('missing', () => {
  it('never deletes', () => {
    const state = { ...complete, routes: [...without(complete.routes, direct), { ...direct, table: 9 }] }
    expect(missing(plan, state).map(describeOperation)).toEqual([
      'setting route 10.0.4.1/32 through interface 11 in table 30011',
    ])
  })
})
