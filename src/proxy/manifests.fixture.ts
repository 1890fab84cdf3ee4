/** Services and EndpointSlices as they come from an API server, and worse: any field may be missing or wrong. */
export interface ServiceManifest {
  readonly metadata: ManifestMetadata
  readonly spec: {
    readonly type?: string
    readonly clusterIP?: string
    readonly clusterIPs?: readonly string[]
    readonly ports?: readonly PortManifest[]
    readonly externalIPs?: readonly string[]
    readonly loadBalancerSourceRanges?: readonly string[]
    readonly internalTrafficPolicy?: string
    readonly externalTrafficPolicy?: string
    readonly healthCheckNodePort?: number
    readonly sessionAffinity?: string
    readonly sessionAffinityConfig?: { readonly clientIP: { readonly timeoutSeconds: number } }
  }
  readonly status?: { readonly loadBalancer: { readonly ingress: readonly IngressManifest[] } }
}

export interface ManifestMetadata {
  readonly namespace: string
  readonly name: string
  readonly labels?: Readonly<Record<string, string>>
  readonly creationTimestamp?: string
}

export interface PortManifest {
  readonly name?: string
  readonly protocol?: string
  readonly port: number
  readonly nodePort?: number
}

export interface IngressManifest {
  readonly ip?: string
  readonly hostname?: string
  readonly ipMode?: string
}

export interface SliceManifest {
  readonly metadata: ManifestMetadata
  readonly addressType: string
  readonly ports?: readonly { readonly name?: string; readonly protocol?: string; readonly port?: number }[]
  readonly endpoints?: readonly EndpointManifest[]
}

export interface EndpointManifest {
  readonly addresses?: readonly string[]
  readonly nodeName?: string
  readonly conditions?: { readonly ready?: boolean; readonly serving?: boolean; readonly terminating?: boolean }
  readonly hints?: {
    readonly forNodes?: readonly { readonly name: string }[]
    readonly forZones?: readonly { readonly name: string }[]
  }
}

export interface ClusterManifests {
  readonly services: readonly ServiceManifest[]
  readonly slices: readonly SliceManifest[]
  readonly node: { readonly name: string; readonly zone?: string; readonly address: string }
}

/** The first packet of a connection, as it reaches the node. */
export interface Packet {
  readonly from: 'podLocal' | 'podRemote' | 'host' | 'external'
  readonly source: string
  readonly destination: string
  readonly port: number
  readonly protocol: 'TCP' | 'UDP' | 'SCTP'
}

export type Decision =
  | { readonly kind: 'forward'; readonly to: readonly Delivery[]; readonly affinitySeconds?: number }
  | { readonly kind: 'reject' }
  | { readonly kind: 'drop' }
  /** None of the proxy's business. */
  | { readonly kind: 'pass' }

/** One endpoint that may be chosen, and the source address it would see. In order of `endpoint`. */
export interface Delivery {
  /** address:port */
  readonly endpoint: string
  readonly sourceSeen: 'own' | 'masqueraded'
}
