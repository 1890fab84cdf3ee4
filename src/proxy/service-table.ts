import type { Cidr } from '../base/cidr.ts'
import type { Ip, IpFamily } from '../base/ip.ts'
import type { ServiceProtocol } from '../kube/service-port.ts'

/**
 * What this node's kernel shall do with packets to Services, in one address family. Plain data in a fixed order; a frontend whose
 * meaning did not change is the same object as before, so a diff needs to look at no other.
 */
export interface ServiceTable {
  readonly family: IpFamily
  /** The node's own addresses at which its node ports are open. Never loopback. */
  readonly nodePortAddresses: readonly Ip[]
  /** By `frontendKey`, in its order. */
  readonly frontends: ReadonlyMap<string, Frontend>
  /** By port. */
  readonly healthChecks: ReadonlyMap<number, HealthCheck>
  readonly problems: readonly ServiceProblem[]
}

/** One address or node port, protocol and port number that clients send to. */
export interface Frontend {
  readonly key: string
  readonly service: ServicePortName
  readonly origin: FrontendOrigin
  readonly at: FrontendPlace
  readonly protocol: ServiceProtocol
  readonly port: number
  /** For packets from this node's pods and from this host. */
  readonly inside: Target
  /** For packets from anywhere else; the same object as `inside` where there is no difference. */
  readonly outside: Target
  readonly masquerade: Masquerade
  /** A client stays with its endpoint this long after its last new connection; absent: every connection chooses anew. */
  readonly affinityTimeoutSeconds?: number
  /**
   * UDP only: whose flows may go on, also endpoints that get no new ones. A flow to any other is to be forgotten by conntrack,
   * or its client would go on talking to nobody: UDP has no end of connection.
   */
  readonly serving?: readonly Endpoint[]
  /**
   * Only these may come, whoever they are; the others' packets are dropped before they are looked up. None is within another.
   * The same object as long as they are the same. Absent: everybody.
   */
  readonly sources?: readonly Cidr[]
}

export type FrontendOrigin = 'clusterIp' | 'loadBalancer' | 'externalIp' | 'nodePort'
export type FrontendPlace = { readonly kind: 'address'; readonly address: Ip } | { readonly kind: 'node' }

/** `endpoints` is never empty; the frontends of a Service's port share the list. */
export type Target =
  | { readonly kind: 'forward'; readonly endpoints: readonly Endpoint[] }
  /** No endpoint anywhere: TCP reset, or ICMP port unreachable. */
  | { readonly kind: 'reject' }
  /** None on this node, where policy wants a local one: whoever sent it there may soon learn better. */
  | { readonly kind: 'drop' }

export interface Endpoint {
  readonly address: Ip
  readonly port: number
}

/**
 * Whose packets get the node's address as their source. In every case also a packet that goes back to where it came from
 * (hairpin: source address = chosen endpoint's address).
 */
export type Masquerade =
  /** Cluster IPs: of those who are neither local pods nor this host. */
  | 'outside'
  /** External frontends of policy Cluster: everybody's. */
  | 'all'
  /** External frontends of policy Local: this host's. */
  | 'host'

export interface ServiceName {
  readonly namespace: string
  readonly name: string
}

export interface ServicePortName extends ServiceName {
  readonly portName: string
}

/** What the HTTP server at a healthCheckNodePort tells load balancers. */
export interface HealthCheck {
  readonly service: ServiceName
  readonly port: number
  /** Ready ones on this node, each address once: the X-Load-Balancing-Endpoint-Weight. */
  readonly localEndpoints: number
}

export interface ServiceProblem {
  /** `namespace/name` of the Service. */
  readonly service: string
  /** The EndpointSlice that has it, when it is not the Service itself. */
  readonly slice?: string
  readonly field: string
  readonly problem: string
}

/** This node, to the resolver. The zone counts only for topology hints. */
export interface ProxyNode {
  readonly name: string
  readonly zone?: string
  readonly family: IpFamily
  /** Absent: the node has no address in the family. */
  readonly primaryAddress?: Ip
  readonly nodePortAddresses: readonly Ip[]
}

/** `10.96.0.10/UDP/53`, `node/TCP/30080`. */
export function frontendKey(at: FrontendPlace, protocol: ServiceProtocol, port: number): string {
  return `${at.kind === 'node' ? 'node' : at.address}/${protocol}/${port}`
}
