import type { DirectionDecision, Party } from '../policy/decide-flow.ts'
import type { PolicyDirection } from '../policy/policy-table.ts'

/** Raised when a field changes its meaning or goes away. */
export const deniedFlowsVersion = 1

/** What `vcnctl policy denied --json` prints. */
export interface DeniedFlowsReport extends DeniedFlows {
  readonly version: typeof deniedFlowsVersion
  readonly node: string
  /** Why the agent cannot tell. */
  readonly problem?: string
}

/** Whose last packet was dropped within the last minute. */
export interface DeniedFlows {
  /** Those with most packets first. */
  readonly flows: readonly DeniedFlow[]
  /** How many more there are. */
  readonly omitted: number
  /**
   * That pods of this node sent under addresses that were not theirs, since the kernel's table was made; of those no flow is
   * remembered. Absent: the kernel does not tell.
   */
  readonly spoofedPackets?: number
}

/** Packets between two ends to one port, as of the packet that opens the flow, that a policy of this node's pods denies. */
export interface DeniedFlow {
  /** Whose policies: `egress` of `from`, `ingress` of `to`. */
  readonly direction: PolicyDirection
  readonly from: Party
  readonly to: Party
  /** TCP, UDP, SCTP, ICMP, or the number of another one. */
  readonly protocol: string
  /** Of the destination; absent of a protocol without ports. */
  readonly port?: number
  /** That were dropped since the flow was first seen. */
  readonly packets: number
  /** What decides it by the policies of now: also that it is allowed meanwhile. */
  readonly decision: DirectionDecision
}
