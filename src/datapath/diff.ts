import { formatCidr } from '../base/cidr.ts'
import type { InterfaceAddress } from '../linux/netlink/address.ts'
import type { Link } from '../linux/netlink/link.ts'
import type { Neighbour } from '../linux/netlink/neighbour.ts'
import type { Route } from '../linux/netlink/route.ts'
import type { Rule } from '../linux/netlink/rule.ts'
import { routingProtocol } from './layout.ts'
import type { LinkPlan, NetnsPlan, NetnsState } from './state.ts'

interface OperationFields {
  'link.change': { readonly link: LinkPlan }
  'address.add': { readonly address: InterfaceAddress }
  'neighbour.set': { readonly neighbour: Neighbour }
  /** Refused when there is a route to the same destination. Never the outcome of a comparison. */
  'route.add': { readonly route: Route }
  'route.replace': { readonly route: Route }
  'route.delete': { readonly route: Route }
  'rule.add': { readonly rule: Rule }
  'rule.delete': { readonly rule: Rule }
}
export type OperationKind = keyof OperationFields

/** One change of the kernel's state: a union by `kind`, of which `Operation<K>` is one member. */
export type Operation<K extends OperationKind = OperationKind> = {
  readonly [P in K]: { readonly kind: P } & OperationFields[P]
}[K]

/**
 * What has to change for the state to hold the plan. Missing things are added; superfluous ones are deleted only if
 * they carry our routing protocol. The order is safe while packets flow: additions before deletions, a router before
 * the routes through it, tables before the rules that look them up.
 */
export function diff(plan: NetnsPlan, state: NetnsState): readonly Operation[] {
  return [...missing(plan, state), ...superfluous(plan, state)]
}

/** The half of `diff` that adds. Empty: the state holds all of the plan. */
export function missing(plan: NetnsPlan, state: NetnsState): readonly Operation[] {
  const links = new Map(state.links.map((link) => [link.ifindex, link]))
  const addresses = new Set(state.addresses.map(addressText))
  const neighbours = new Set(state.neighbours.map(neighbourText))
  const routes = new Set(state.routes.map(routeText))
  // A rule with further selectors holds for fewer packets than the planned one that it looks like.
  const rules = new Set(state.rules.filter((rule) => rule.hasOtherSelectors !== true).map(ruleText))
  const missingRoutes = plan.routes.filter((route) => !routes.has(routeText(route)))
  return [
    ...plan.links
      .filter((link) => !holds(links.get(link.ifindex), link))
      .map((link) => ({ kind: 'link.change', link }) as const),
    ...plan.addresses
      .filter((address) => !addresses.has(addressText(address)))
      .map((address) => ({ kind: 'address.add', address }) as const),
    ...plan.neighbours
      .filter((neighbour) => !neighbours.has(neighbourText(neighbour)))
      .map((neighbour) => ({ kind: 'neighbour.set', neighbour }) as const),
    ...[...missingRoutes.filter(isDirect), ...missingRoutes.filter((route) => !isDirect(route))].map(
      (route) => ({ kind: 'route.replace', route }) as const,
    ),
    ...plan.rules.filter((rule) => !rules.has(ruleText(rule))).map((rule) => ({ kind: 'rule.add', rule }) as const),
  ]
}

function superfluous(plan: NetnsPlan, state: NetnsState): readonly Operation[] {
  const routes = new Set(plan.routes.map(routeText))
  // A route that the plan replaces is gone by the replacement; deleting "it" would delete the new one.
  const replaced = new Set(plan.routes.map(routeSlot))
  const rules = new Set(plan.rules.map(ruleText))
  const ours = (object: { readonly protocol: number }): boolean => object.protocol === routingProtocol
  return [
    ...state.rules
      .filter((rule) => ours(rule) && rule.hasOtherSelectors !== true && !rules.has(ruleText(rule)))
      .map((rule) => ({ kind: 'rule.delete', rule }) as const),
    ...state.routes
      .filter((route) => ours(route) && !routes.has(routeText(route)) && !replaced.has(routeSlot(route)))
      .map((route) => ({ kind: 'route.delete', route }) as const),
  ]
}

function holds(link: Link | undefined, plan: LinkPlan): boolean {
  if (link === undefined) return false
  const { mtuBytes, alias, ipv4Conf } = plan
  const { forwarding, proxyArp, rpFilter, sendRedirects } = ipv4Conf ?? {}
  return (
    (plan.up === undefined || link.up) &&
    (mtuBytes === undefined || link.mtuBytes === mtuBytes) &&
    (alias === undefined || link.alias === alias) &&
    (forwarding === undefined || link.ipv4Conf.forwarding === forwarding) &&
    (proxyArp === undefined || link.ipv4Conf.proxyArp === proxyArp) &&
    (rpFilter === undefined || link.ipv4Conf.rpFilter === rpFilter) &&
    (sendRedirects === undefined || link.ipv4Conf.sendRedirects === sendRedirects)
  )
}

const isDirect = (route: Route): boolean => route.gateway === undefined

function addressText({ ifindex, cidr }: InterfaceAddress): string {
  return `${ifindex} ${formatCidr(cidr)}`
}

function neighbourText({ ifindex, address, mac }: Neighbour): string {
  return `${ifindex} ${address} ${mac}`
}

/** What the kernel tells routes of one table apart by (fib_table_insert: prefix, TOS, priority). */
function routeSlot({ table, destination, metric }: Route): string {
  return `${table} ${formatCidr(destination)} ${metric ?? 0}`
}

function routeText(route: Route): string {
  const { type, ifindex, gateway, source, scope, protocol } = route
  return `${routeSlot(route)} ${type ?? ''} ${ifindex} ${gateway ?? ''} ${source ?? ''} ${scope} ${protocol}`
}

function ruleText({ family, priority, from, unlessMarked = 0, table, protocol }: Rule): string {
  return `${family} ${priority} ${from === undefined ? 'all' : formatCidr(from)} ${unlessMarked} ${table} ${protocol}`
}
