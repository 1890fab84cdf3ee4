import type { AppliedStats } from '../../nftables/writer.ts'

/** What is counted of the work on the kernel's table. */
export interface PolicyObserver {
  synced(sync: PolicySync): void
  /** The kernel refused, or somebody else was in the way. */
  failed(): void
  /** From the API server's word of a change to the kernel's having it. */
  programmed(latencyMs: number): void
}

export interface PolicySync extends AppliedStats {
  readonly chains: number
  readonly sets: number
}

export const nobodyCounts: PolicyObserver = {
  synced: () => undefined,
  failed: () => undefined,
  programmed: () => undefined,
}
