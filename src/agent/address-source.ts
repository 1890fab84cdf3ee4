import type { Ipv4 } from '../base/ip.ts'
import type { Result } from '../base/result.ts'
import type { Vnic } from '../base/vnic.ts'
import type { NetnsState } from '../datapath/state.ts'
import type { AddressUse } from '../ipam/address-pool.ts'
import type { DeniedFlows } from './denied-flow.ts'
import type { NodeMesh } from './mesh/node-mesh.ts'
import type { GuardedInterface, PodGuard } from './pod-guard.ts'
import type { SourceStatus } from './status.ts'

/** Who tells the agent which VNICs and addresses the node has. */
export interface AddressSource extends AsyncDisposable {
  /** Absent: nobody enforces network policies through this agent. */
  readonly guard?: PodGuard | undefined
  /** Absent: pods of meshes are left alone. */
  readonly mesh?: NodeMesh | undefined
  /** All of the node's VNICs, given what the kernel has. Undefined: nothing is known, and nothing is to be taken away. */
  vnics(state: NetnsState): readonly Vnic[] | undefined
  /** Addresses on their way back to the subnet: for no pod any more, although a VNIC has them. */
  releasing(): ReadonlySet<Ipv4>
  /** Looks again, because an operator asked for it. */
  reload(): void
  /** The agent serves: from now on it is told of changes, and asked. */
  serve(node: ServedNode): void
  /** Addresses were given out or came back, or the node's network changed. */
  poke(): void
  status(): SourceStatus
  /** That network policies denied within the last minute. Absent, or undefined: nobody enforces any here. */
  deniedFlows?(signal: AbortSignal): Promise<Result<DeniedFlows, string> | undefined>
}

/** The agent, as a source of addresses sees it. */
export interface ServedNode {
  /** `vnics` or `releasing` have something new to say. */
  readonly sourceChanged: () => void
  readonly uses: () => ReadonlyMap<Ipv4, AddressUse>
  /** Of all attachments. */
  readonly interfaces: () => readonly GuardedInterface[]
  /** On an interface of the node, or routed to one. */
  readonly addressesOnInterfaces: () => ReadonlySet<Ipv4>
  /** Whether the next pod would get its network. */
  readonly isReadyForPods: () => boolean
}
