import type { InterfaceAddress } from '../linux/netlink/address.ts'
import type { Ipv4Conf, Link } from '../linux/netlink/link.ts'
import type { Neighbour } from '../linux/netlink/neighbour.ts'
import type { Route } from '../linux/netlink/route.ts'
import type { Rule } from '../linux/netlink/rule.ts'

/** What one network namespace should hold, as far as we are concerned. */
export interface NetnsPlan {
  readonly links: readonly LinkPlan[]
  readonly addresses: readonly InterfaceAddress[]
  readonly neighbours: readonly Neighbour[]
  readonly routes: readonly Route[]
  readonly rules: readonly Rule[]
}

/** Settings of an interface that exists; what is absent is left as it is. */
export interface LinkPlan {
  readonly ifindex: number
  readonly up?: true
  readonly mtuBytes?: number
  readonly alias?: string
  readonly ipv4Conf?: Ipv4Conf
  readonly ipv6AddressGeneration?: 'none'
}

/** What one network namespace holds. */
export interface NetnsState {
  readonly links: readonly Link[]
  readonly addresses: readonly InterfaceAddress[]
  readonly neighbours: readonly Neighbour[]
  readonly routes: readonly Route[]
  readonly rules: readonly Rule[]
}

export const emptyPlan: NetnsPlan = { links: [], addresses: [], neighbours: [], routes: [], rules: [] }
export const emptyState: NetnsState = { links: [], addresses: [], neighbours: [], routes: [], rules: [] }

export function mergePlans(plans: readonly NetnsPlan[]): NetnsPlan {
  return {
    links: plans.flatMap((plan) => plan.links),
    addresses: plans.flatMap((plan) => plan.addresses),
    neighbours: plans.flatMap((plan) => plan.neighbours),
    routes: plans.flatMap((plan) => plan.routes),
    rules: plans.flatMap((plan) => plan.rules),
  }
}
