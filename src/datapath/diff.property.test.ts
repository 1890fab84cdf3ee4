import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Route } from '../linux/netlink/route.ts'
import type { Rule } from '../linux/netlink/rule.ts'
import { diff, type Operation } from './diff.ts'
import { carryOut, sameFields, slotOf } from './kernel-model.fixture.ts'
import { routingProtocol } from './layout.ts'
import { cidr4, ip4, mac, testLink } from './plan.fixture.ts'
import type { LinkPlan, NetnsPlan, NetnsState } from './state.ts'

// A small world, so that plans and states meet: the same few interfaces, tables, destinations and rules everywhere.
const ifindexes = [11, 12, 77] as const
const ifindex = fc.constantFrom(...ifindexes)
const destination = fc.constantFrom('0.0.0.0/0', '10.0.4.0/24', '10.0.4.1/32', '10.0.4.9/32').map(cidr4)
const protocol = fc.constantFrom(routingProtocol, 3, 4)
const anyAddress = fc.constantFrom('10.0.4.1', '10.0.4.9').map(ip4)

const routes = (by: fc.Arbitrary<number>): fc.Arbitrary<readonly Route[]> =>
  fc.uniqueArray(
    fc.record(
      {
        table: fc.constantFrom(254, 20_000, 30_011),
        destination,
        ifindex,
        gateway: anyAddress,
        source: anyAddress,
        scope: fc.constantFrom('global', 'link'),
        protocol: by,
        metric: fc.constant(100),
      },
      { requiredKeys: ['table', 'destination', 'ifindex', 'scope', 'protocol'] },
    ),
    { selector: slotOf, maxLength: 10 },
  )

const rules = (by: fc.Arbitrary<number>, others: fc.Arbitrary<true>): fc.Arbitrary<readonly Rule[]> =>
  fc.uniqueArray(
    fc.record(
      {
        family: fc.constant(4),
        priority: fc.constantFrom(512, 1536),
        table: fc.constantFrom(20_000, 30_011),
        from: destination,
        unlessMarked: fc.constant(0x1000),
        protocol: by,
        hasOtherSelectors: others,
      },
      { requiredKeys: ['family', 'priority', 'table', 'protocol'] },
    ),
    { comparator: sameFields, maxLength: 8 },
  )

const linkPlans: fc.Arbitrary<readonly LinkPlan[]> = fc.uniqueArray(
  fc.record(
    {
      ifindex,
      up: fc.constant(true),
      mtuBytes: fc.constantFrom(1500, 9000),
      alias: fc.constantFrom('a', 'b'),
      ipv4Conf: fc.record({ forwarding: fc.constantFrom(0, 1), rpFilter: fc.constantFrom(1, 2) }, { requiredKeys: [] }),
    },
    { requiredKeys: ['ifindex'] },
  ),
  { selector: (link) => link.ifindex },
)

const addresses = fc.uniqueArray(fc.record({ ifindex, cidr: destination, scope: fc.constant('global' as const) }), {
  selector: (address) => `${address.ifindex} ${address.cidr.address}`,
  maxLength: 4,
})
const neighbours = fc.uniqueArray(
  fc.record({ ifindex, address: anyAddress, mac: fc.constantFrom('02:00:00:00:00:01', '02:00:00:00:00:02').map(mac) }),
  { selector: (neighbour) => `${neighbour.ifindex} ${neighbour.address}`, maxLength: 4 },
)

const plans: fc.Arbitrary<NetnsPlan> = fc.record({
  links: linkPlans,
  addresses,
  neighbours,
  routes: routes(fc.constant(routingProtocol)),
  rules: rules(fc.constant(routingProtocol), fc.constant(true)).map((list) =>
    list.filter((rule) => rule.hasOtherSelectors !== true),
  ),
})
const states: fc.Arbitrary<NetnsState> = fc.record({
  links: fc.tuple(...ifindexes.map((index) => fc.boolean().map((up) => testLink(index, { up, mtuBytes: 1500 })))),
  addresses,
  neighbours,
  routes: routes(protocol),
  rules: rules(protocol, fc.constant(true)),
})

const deletes = ({ kind }: Operation): boolean => kind === 'route.delete' || kind === 'rule.delete'

describe('diff, of any plan and state', () => {
  test('carried out, leaves nothing to do', () => {
    fc.assert(
      fc.property(plans, states, (plan, state) => {
        expect(diff(plan, carryOut(state, diff(plan, state)))).toEqual([])
      }),
    )
  })

  test('carried out in part, leaves the rest to do and no more', () => {
    fc.assert(
      fc.property(plans, states, fc.nat(40), (plan, state, count) => {
        const operations = diff(plan, state)
        const rest = diff(plan, carryOut(state, operations.slice(0, count)))
        expect(rest).toEqual(operations.slice(count))
      }),
    )
  })

  test('leaves other programs’ routes and rules as they are, but for a route whose place the plan takes', () => {
    fc.assert(
      fc.property(plans, states, (plan, state) => {
        const after = carryOut(state, diff(plan, state))
        const planned = new Set(plan.routes.map(slotOf))
        const foreign = (routing: { readonly protocol: number }): boolean => routing.protocol !== routingProtocol
        const expected = state.routes.filter((route) => foreign(route) && !planned.has(slotOf(route)))
        expect(after.routes.filter(foreign)).toEqual(expected)
        expect(after.rules.filter(foreign)).toEqual(state.rules.filter(foreign))
      }),
    )
  })

  test('deletes nothing that the plan has', () => {
    fc.assert(
      fc.property(plans, states, (plan, state) => {
        for (const operation of diff(plan, state)) {
          if (operation.kind === 'route.delete') {
            expect(plan.routes.map(slotOf)).not.toContain(slotOf(operation.route))
          }
          if (operation.kind === 'rule.delete') {
            expect(plan.rules.some((rule) => sameFields(rule, operation.rule))).toBe(false)
          }
        }
      }),
    )
  })

  test('adds before it deletes, tables before rules, and a router before the routes through it', () => {
    fc.assert(
      fc.property(plans, states, (plan, state) => {
        const operations = diff(plan, state)
        const last = (of: (operation: Operation) => boolean): number => operations.findLastIndex(of)
        const first = (of: (operation: Operation) => boolean): number => {
          const index = operations.findIndex(of)
          return index < 0 ? operations.length : index
        }
        const sets = (isThrough: boolean) => (operation: Operation) =>
          operation.kind === 'route.replace' && (operation.route.gateway !== undefined) === isThrough
        expect(last((operation) => !deletes(operation))).toBeLessThan(first(deletes))
        expect(last(sets(false))).toBeLessThan(first(sets(true)))
        expect(last(({ kind }) => kind === 'route.replace')).toBeLessThan(first(({ kind }) => kind === 'rule.add'))
        expect(last(({ kind }) => kind === 'rule.delete')).toBeLessThan(first(({ kind }) => kind === 'route.delete'))
      }),
    )
  })
})
