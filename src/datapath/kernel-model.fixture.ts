// A kernel in memory: what the operations of a diff do to a namespace's state.
import { formatCidr } from '../base/cidr.ts'
import type { Route } from '../linux/netlink/route.ts'
import type { Rule } from '../linux/netlink/rule.ts'
import type { Operation } from './diff.ts'
import { testLink } from './plan.fixture.ts'
import { emptyState, type LinkPlan, type NetnsPlan, type NetnsState } from './state.ts'

/** The state of a namespace that holds exactly the plan. */
export function holding(plan: NetnsPlan): NetnsState {
  const indexes = [...new Set(plan.links.map(({ ifindex }) => ifindex))]
  const bare = { ...emptyState, links: indexes.map((ifindex) => testLink(ifindex, { up: false })) }
  const { addresses, neighbours, routes, rules } = plan
  return { ...plan.links.reduce(withLink, bare), addresses, neighbours, routes, rules }
}

export function carryOut(state: NetnsState, operations: readonly Operation[]): NetnsState {
  return operations.reduce(step, state)
}

function step(state: NetnsState, operation: Operation): NetnsState {
  const { addresses, neighbours, routes, rules } = state
  switch (operation.kind) {
    case 'link.change':
      return withLink(state, operation.link)
    case 'address.add':
      return { ...state, addresses: [...addresses, operation.address] }
    case 'neighbour.set': {
      const { neighbour } = operation
      const others = neighbours.filter((n) => n.ifindex !== neighbour.ifindex || n.address !== neighbour.address)
      return { ...state, neighbours: [...others, neighbour] }
    }
    case 'route.add':
    case 'route.replace':
      return { ...state, routes: [...routes.filter((r) => slotOf(r) !== slotOf(operation.route)), operation.route] }
    case 'route.delete':
      return { ...state, routes: routes.filter((r) => !sameFields(r, operation.route)) }
    case 'rule.add':
      return { ...state, rules: [...rules, operation.rule] }
    case 'rule.delete':
      return { ...state, rules: rules.filter((rule) => !sameFields(rule, operation.rule)) }
  }
}

function withLink(state: NetnsState, change: LinkPlan): NetnsState {
  const { ifindex, up, mtuBytes, alias, ipv4Conf } = change
  const links = state.links.map((link) =>
    link.ifindex === ifindex
      ? {
          ...link,
          ipv4Conf: { ...link.ipv4Conf, ...ipv4Conf },
          ...(up !== undefined && { up }),
          ...(mtuBytes !== undefined && { mtuBytes }),
          ...(alias !== undefined && { alias }),
        }
      : link,
  )
  return { ...state, links }
}

/** A table holds one route of a destination and metric (route(8), `ip route replace`). */
export function slotOf({ table, destination, metric = 0 }: Route): string {
  return `${table} ${formatCidr(destination)} ${metric}`
}

export function sameFields<T extends Route | Rule>(a: T, b: T): boolean {
  const sorted = (value: T): string =>
    JSON.stringify(value, Object.keys({ ...value, address: 0, prefixLength: 0 }).sort())
  return sorted(a) === sorted(b)
}
