import type { Ipv4Cidr } from '../base/cidr.ts'
import type { ServiceProtocol } from '../kube/service-port.ts'
import type { Elements } from '../nftables/elements.ts'

/**
 * What one node's kernel shall do with its pods' packets. Plain data; what did not change its meaning is the same object as
 * before, so that a diff needs to look at no other. IPv4 only, as everything on the node is so far.
 */
export interface PolicyTable {
  readonly node: string
  /**
   * Every pod of the node that has a network of its own, by `namespace/name`; also before it has an address. Not before its
   * namespace is known: it must not get a packet through then.
   */
  readonly pods: ReadonlyMap<string, PodPolicy>
  /** Those that rules refer to, by key. */
  readonly peerSets: ReadonlyMap<string, PeerSet>
}

export type PolicyDirection = 'ingress' | 'egress'
export const directions: readonly PolicyDirection[] = ['egress', 'ingress']

export interface PodPolicy {
  readonly key: string
  readonly ingress: DirectionPolicy
  readonly egress: DirectionPolicy
}

/**
 * In one direction, asked in this order; pods with the same policies share the object.
 * 1. `admin`: the first rule that matches decides; pass goes on to 2.
 * 2. `network`, unless empty: accepted if any rule matches, else denied. A pod with one is isolated.
 * 3. `baseline`: as admin; pass, or no match, accepts.
 */
export interface DirectionPolicy {
  /** From the keys of its lists: the same for what is the same, also in another process. */
  readonly key: string
  readonly admin: readonly PolicyRules[]
  readonly network: readonly PolicyRules[]
  readonly baseline: readonly PolicyRules[]
}

/** The rules of one policy in one direction, shared by the pods they are the same for. */
export interface PolicyRules {
  /** The policy and direction; and for ingress rules with named ports, what these are on the pod. */
  readonly key: string
  readonly policy: PolicyName
  readonly rules: readonly PolicyRule[]
}

export interface PolicyName {
  readonly kind: 'NetworkPolicy' | 'ClusterNetworkPolicy'
  /** `namespace/name`, or `name`. */
  readonly key: string
}

export type PolicyAction = 'accept' | 'deny' | 'pass'

/** Matches when one of `peers` and one of `ports` do, or when one of `portSets` does. */
export interface PolicyRule {
  /** Its place in the policy's list. */
  readonly index: number
  readonly name?: string
  readonly action: PolicyAction
  /** Keys of sets of addresses: of sources for ingress, of destinations for egress. */
  readonly peers: 'any' | readonly string[]
  /** Disjoint and in order. Other protocols, such as ICMP, match 'any' alone. */
  readonly ports: 'any' | readonly PortRange[]
  /** Of egress to named ports: keys of sets of destinations' addresses with protocol and port. */
  readonly portSets: readonly string[]
}

/** Both ends included. */
export interface PortRange {
  readonly protocol: ServiceProtocol
  readonly first: number
  readonly last: number
}

/** Rules with the same selector share a set. Its key says in words what is in it. */
export type PeerSet =
  /** Elements of `peerKey`. */
  | { readonly kind: 'pods'; readonly key: string; readonly members: Elements }
  /** Elements of `peerPortKey`. */
  | { readonly kind: 'ports'; readonly key: string; readonly members: Elements }
  /** Disjoint and in order. */
  | { readonly kind: 'blocks'; readonly key: string; readonly blocks: readonly Ipv4Cidr[] }

export const peerKey = ['ipv4_addr'] as const
export const peerPortKey = ['ipv4_addr', 'inet_proto', 'inet_service'] as const

export interface Change<V> {
  readonly key: string
  readonly before: V | undefined
  readonly after: V | undefined
}
