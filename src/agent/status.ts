/** Raised when a field changes its meaning or goes away. */
export const agentStatusVersion = 1

/** What `vcnctl status --json` prints. */
export interface AgentStatus {
  readonly version: typeof agentStatusVersion
  readonly node: string
  readonly ready: boolean
  readonly problems: readonly string[]
  readonly rssBytes: number
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
  /** Addresses for pods: total = held + cooling + quarantined + free. */
  readonly total: number
  readonly held: number
  readonly cooling: number
  readonly quarantined: number
  readonly free: number
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
