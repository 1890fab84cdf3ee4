import type { AppliedStats } from '../../nftables/writer.ts'

/** What is counted of the work on the kernel's table. */
export interface PolicyObserver {
  synced(sync: PolicySync): void
  /** The kernel refused, or somebody else was in the way. */
  failed(): void
  /** From the API server's word of a change to the kernel's having it. */
  programmed(latencyMs: number): void
  /** How long an ADD waited in all for its pod's isolation; `isInTime`: and then had it. */
  waited(waitMs: number, isInTime: boolean): void
  /** The kernel has nothing of an interface any more. */
  left(ifname: string): void
}

export type PolicySync = Pick<AppliedStats, 'how' | 'elapsedMs'>

export const nobodyCounts: PolicyObserver = {
  synced: () => undefined,
  failed: () => undefined,
  programmed: () => undefined,
  waited: () => undefined,
  left: () => undefined,
}
