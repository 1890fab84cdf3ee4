// Objects as people write them, as far as the generator and the naive model go.

export interface SelectorManifest {
  readonly matchLabels?: Readonly<Record<string, string>>
  readonly matchExpressions?: readonly ExpressionManifest[]
}
export interface ExpressionManifest {
  readonly key: string
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist'
  readonly values?: readonly string[]
}

export interface NamespaceManifest {
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> }
}

export interface PodManifest {
  readonly metadata: {
    readonly name: string
    readonly namespace: string
    readonly labels: Readonly<Record<string, string>>
  }
  readonly spec: {
    readonly nodeName: string
    readonly hostNetwork: boolean
    readonly containers: readonly { readonly ports: readonly ContainerPortManifest[] }[]
  }
  readonly status: { readonly phase: string; readonly podIP: string }
}
export interface ContainerPortManifest {
  readonly name: string
  readonly protocol: 'TCP' | 'UDP' | 'SCTP'
  readonly containerPort: number
}

export interface NetworkPolicyManifest {
  readonly metadata: { readonly name: string; readonly namespace: string }
  readonly spec: {
    readonly podSelector: SelectorManifest
    readonly policyTypes?: readonly ('Ingress' | 'Egress')[]
    readonly ingress?: readonly { readonly from?: readonly PeerManifest[]; readonly ports?: readonly PortManifest[] }[]
    readonly egress?: readonly { readonly to?: readonly PeerManifest[]; readonly ports?: readonly PortManifest[] }[]
  }
}
export interface PeerManifest {
  readonly podSelector?: SelectorManifest
  readonly namespaceSelector?: SelectorManifest
  readonly ipBlock?: { readonly cidr: string; readonly except?: readonly string[] }
}
export interface PortManifest {
  readonly protocol?: 'TCP' | 'UDP' | 'SCTP'
  readonly port?: number | string
  readonly endPort?: number
}

export interface ClusterNetworkPolicyManifest {
  readonly metadata: { readonly name: string }
  readonly spec: {
    readonly tier: 'Admin' | 'Baseline'
    readonly priority: number
    readonly subject: SubjectManifest
    readonly ingress?: readonly ClusterRuleManifest[]
    readonly egress?: readonly ClusterRuleManifest[]
  }
}
export interface SubjectManifest {
  readonly namespaces?: SelectorManifest
  readonly pods?: { readonly namespaceSelector: SelectorManifest; readonly podSelector: SelectorManifest }
}
export interface ClusterRuleManifest {
  readonly action: 'Accept' | 'Deny' | 'Pass'
  readonly from?: readonly ClusterPeerManifest[]
  readonly to?: readonly ClusterPeerManifest[]
  readonly protocols?: readonly ProtocolManifest[]
}
export interface ClusterPeerManifest extends SubjectManifest {
  readonly networks?: readonly string[]
}
type L4Manifest = {
  readonly destinationPort: {
    readonly number?: number
    readonly range?: { readonly start: number; readonly end: number }
  }
}
export interface ProtocolManifest {
  readonly tcp?: L4Manifest
  readonly udp?: L4Manifest
  readonly sctp?: L4Manifest
  readonly destinationNamedPort?: string
}

export interface ClusterManifests {
  readonly namespaces: readonly NamespaceManifest[]
  readonly pods: readonly PodManifest[]
  readonly networkPolicies: readonly NetworkPolicyManifest[]
  readonly clusterNetworkPolicies: readonly ClusterNetworkPolicyManifest[]
}
