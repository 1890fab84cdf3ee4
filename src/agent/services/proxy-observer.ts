import type { HealthPath } from './health-answers.ts'

/** What happens in a service proxy, for whoever counts it. */
export interface ProxyObserver {
  changed(what: 'service' | 'endpoint'): void
  /** All changes so far are in the kernel. */
  synced(sync: FinishedSync): void
  failed(): void
  conntrackCleaned(elapsedMs: number, flowsDeleted: number): void
  answered(path: HealthPath, code: 200 | 503): void
  foundProblems(count: number): void
}

export interface FinishedSync {
  readonly elapsedMs: number
  /** The whole table was made anew. */
  readonly isFull: boolean
  /** From each change of endpoints, by their controller's clock, to now. */
  readonly programmingMs: readonly number[]
}

/** What there is now; read when somebody asks for the metrics. */
export interface ProxyFigures {
  readonly services: number
  readonly endpoints: number
  readonly problems: number
  /** Objects that do not parse at all. */
  readonly malformed: number
  readonly rivals: number
  readonly healthCheckPorts: number
  /** Ports that could not be opened. */
  readonly closedPorts: number
  readonly pendingServices: number
  readonly pendingEndpoints: number
  /** Services of policy Local without an endpoint on this node. */
  readonly withoutLocalEndpoints: Readonly<Record<'internal' | 'external', number>>
  readonly lastQueuedMs?: number
  readonly lastSyncedMs?: number
}

export const nobodyCounts: ProxyObserver = {
  changed: () => undefined,
  synced: () => undefined,
  failed: () => undefined,
  conntrackCleaned: () => undefined,
  answered: () => undefined,
  foundProblems: () => undefined,
}
