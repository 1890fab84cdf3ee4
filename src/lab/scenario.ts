import type { Ipv4Cidr } from '../base/cidr.ts'
import type { ClusterSettings } from './cluster-settings.ts'

/** What `vcnctl lab up` builds; the file's form is described in docs/lab.md. */
export interface Scenario {
  /** The same seed gives the same addresses. Absent: a new one each time. */
  readonly seed?: number | undefined
  readonly vcn: { readonly cidr: Ipv4Cidr }
  readonly subnets: readonly ScenarioSubnet[]
  readonly nodes: readonly ScenarioNode[]
  readonly pods: readonly ScenarioPod[]
  readonly agent: AgentSettings
  /** Present: the lab is a Kubernetes cluster on an emulated cloud, whose controller attaches the secondary VNICs. */
  readonly cluster?: ClusterSettings | undefined
}

export interface ScenarioSubnet {
  readonly name: string
  readonly cidr: Ipv4Cidr
}

export interface ScenarioNode {
  readonly name: string
  readonly vnics: readonly ScenarioVnic[]
}

export interface ScenarioVnic {
  /** The interface in the node. */
  readonly name: string
  readonly subnet: string
  readonly primary: boolean
  readonly secondaryAddresses: number
  readonly skipSourceDestCheck: boolean
}

export interface ScenarioPod {
  readonly name: string
  readonly namespace: string
  readonly node: string
  readonly ports: readonly PortMapping[]
}

/** As the `portMappings` capability has it (CNI CONVENTIONS.md). */
export interface PortMapping {
  readonly hostPort: number
  readonly containerPort: number
  readonly protocol: 'tcp' | 'udp' | 'sctp'
}

/** The same keys as in the agent's configuration file. */
export interface AgentSettings {
  readonly strategy: 'spread' | 'pack'
  readonly cooldownSeconds: number
  readonly mtuBytes: number
}
