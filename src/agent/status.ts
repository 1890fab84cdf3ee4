/** Raised when a field changes its meaning or goes away. */
export const agentStatusVersion = 1

/** What `vcnctl status --json` prints. */
export interface AgentStatus {
  readonly version: typeof agentStatusVersion
  readonly node: string
  readonly ready: boolean
  readonly problems: readonly string[]
  /** What does not work, though pods get their network. */
  readonly warnings: readonly string[]
  readonly rssBytes: number
  /** Who tells the node's VNICs and addresses. */
  readonly source: SourceStatus
  readonly vnics: readonly VnicStatus[]
  readonly attachments: readonly AttachmentStatus[]
  /** Held by an attachment, but no longer on any VNIC of the node: the VCN delivers nothing to these pods. */
  readonly strayed: readonly string[]
}

export interface VnicStatus {
  readonly id: string
  readonly mac: string
  readonly primary: boolean
  readonly ifname: string
  readonly ifindex: number
  readonly subnetCidr: string
  /** Addresses for pods: total = held + cooling + quarantined + free + releasing. */
  readonly total: number
  readonly held: number
  readonly cooling: number
  readonly quarantined: number
  readonly free: number
  /** On their way back to the subnet, and used by nobody any more. */
  readonly releasing: number
}

export type SourceStatus = FileSourceStatus | KubernetesSourceStatus

export interface FileSourceStatus {
  readonly kind: 'file'
  readonly path: string
}

/** The node's NativePodNetwork, and the way to it. Times are milliseconds since the epoch. */
export interface KubernetesSourceStatus {
  readonly kind: 'kubernetes'
  readonly server: string
  /** Name of the NativePodNetwork; absent while nobody has said which instance the node is. */
  readonly network?: string
  /** Where the view comes from that the agent goes by: `disk` until the API server answers, `none` without either. */
  readonly origin: 'none' | 'disk' | 'api'
  /** The API server has told all it knows, once since the agent's start. */
  readonly synced: boolean
  /** Changes are heard of now. */
  readonly watching: boolean
  readonly lastEventMs?: number
  readonly lastError?: { readonly message: string; readonly atMs: number }
  /** What of the NativePodNetwork is missing or of no use, and what is being tried again. */
  readonly problems: readonly string[]
  readonly releases: readonly ReleaseStatus[]
  /** Absent: this agent leaves Services alone. */
  readonly services?: ServiceProxyStatus
  /** Absent: this agent enforces no network policy. */
  readonly policy?: PolicyStatus
}

/** Network policy on this node. */
export interface PolicyStatus {
  /**
   * `waiting`: for the API server's lists, what an earlier agent left is in force; `refused`: Calico's rules are here, and
   * none of ours; `failing`: the kernel has older rules than it should have; `running`: it has what the API server told.
   */
  readonly state: 'waiting' | 'refused' | 'failing' | 'running'
  readonly because?: string
  /** Of this node, on its pod network; `selected`: those that a policy of any kind selects. */
  readonly pods: number
  readonly selected: number
  /** NetworkPolicies and ClusterNetworkPolicies in the cluster. */
  readonly policies: number
  /** When the kernel last had all that was told. */
  readonly lastSyncMs?: number
  /** A Calico that came later; what of which policies cannot be read, and fails closed. */
  readonly problems: readonly string[]
}

/** The service proxy of this node. */
export interface ServiceProxyStatus {
  /**
   * `waiting`: for the API server's lists, or for the Node; `refused`: kube-proxy's rules are here, and none of ours;
   * `failing`: the kernel has older rules than it should have; `running`: it has what the API server told.
   */
  readonly state: 'waiting' | 'refused' | 'failing' | 'running'
  readonly because?: string
  /** Those that are translated. */
  readonly services: number
  /** Different addresses and ports that packets are led to. */
  readonly endpoints: number
  /** When the kernel last had all that was told. */
  readonly lastSyncMs?: number
  /** A kube-proxy that came later; ports that are not open; what of which Services is left out. */
  readonly problems: readonly string[]
}

export interface ReleaseStatus {
  readonly address: string
  readonly vnicId: string
  readonly state: 'Marked' | 'Confirmed'
  /** What keeps it on the node. */
  readonly waiting?: string
}

export interface AttachmentStatus {
  readonly network: string
  readonly containerId: string
  readonly ifname: string
  readonly address: string
  readonly vnicId: string
  readonly hostIfname: string
  readonly ifindex: number | null
  readonly netns: string
  readonly pod?: { readonly namespace: string; readonly name: string; readonly uid?: string }
  readonly state: 'adding' | 'attached' | 'deleting'
}
