import type { OciErrorKind, Operation } from './oci-error.ts'

export interface OperationCounts {
  /** Requests sent, repeats included. */
  readonly calls: number
  readonly throttled: number
  readonly retries: number
  /** Calls that failed in the end. */
  readonly failures: Readonly<Partial<Record<OciErrorKind['kind'], number>>>
}

const none: OperationCounts = { calls: 0, throttled: 0, retries: 0, failures: {} }

/** What metrics show of the API's use, by operation. */
export class CallCounters {
  readonly #counts = new Map<Operation, OperationCounts>()

  called(operation: Operation): void {
    const counts = this.of(operation)
    this.#counts.set(operation, { ...counts, calls: counts.calls + 1 })
  }

  throttled(operation: Operation): void {
    const counts = this.of(operation)
    this.#counts.set(operation, { ...counts, throttled: counts.throttled + 1 })
  }

  retried(operation: Operation): void {
    const counts = this.of(operation)
    this.#counts.set(operation, { ...counts, retries: counts.retries + 1 })
  }

  failed(operation: Operation, kind: OciErrorKind['kind']): void {
    const counts = this.of(operation)
    const failures = { ...counts.failures, [kind]: (counts.failures[kind] ?? 0) + 1 }
    this.#counts.set(operation, { ...counts, failures })
  }

  of(operation: Operation): OperationCounts {
    return this.#counts.get(operation) ?? none
  }

  all(): ReadonlyMap<Operation, OperationCounts> {
    return new Map(this.#counts)
  }
}
