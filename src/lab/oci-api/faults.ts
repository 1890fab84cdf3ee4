import { type Random, seededRandom } from '../random.ts'

/** What goes wrong with one request. */
export type Fault =
  /** Answered with this error; nothing else happens. */
  | { readonly kind: 'status'; readonly status: number; readonly code: string; readonly retryAfterSeconds?: number }
  /** Answered late. */
  | { readonly kind: 'delay'; readonly delayMs: number }
  /** The connection is reset before anything happens. */
  | { readonly kind: 'reset' }
  /** It takes effect, and the connection is reset instead of the answer. */
  | { readonly kind: 'lostAnswer' }
  /** It takes effect, and the connection breaks in the middle of the answer. */
  | { readonly kind: 'truncated' }

export interface FaultRule {
  /** As in the API reference, such as CreatePrivateIp; absent: every operation. */
  readonly operation?: string
  readonly when: FaultTime
  readonly fault: Fault
}

export type FaultTime =
  | { readonly kind: 'always' }
  /** From 1, counted by operation. */
  | { readonly kind: 'calls'; readonly calls: readonly number[] }
  /** 0 to 1. */
  | { readonly kind: 'probability'; readonly probability: number }

/** Decides for each request what goes wrong with it; the same seed and the same requests give the same faults. */
export class FaultPlan {
  readonly #rules: readonly FaultRule[]
  readonly #random: Random
  readonly #calls = new Map<string, number>()

  constructor(rules: readonly FaultRule[], seed: number) {
    this.#rules = rules
    this.#random = seededRandom(seed)
  }

  next(operation: string): readonly Fault[] {
    const call = (this.#calls.get(operation) ?? 0) + 1
    this.#calls.set(operation, call)
    return this.#rules
      .filter((rule) => rule.operation === undefined || rule.operation === operation)
      .filter(({ when }) => this.#strikes(when, call))
      .map(({ fault }) => fault)
  }

  #strikes(when: FaultTime, call: number): boolean {
    switch (when.kind) {
      case 'always':
        return true
      case 'calls':
        return when.calls.includes(call)
      case 'probability':
        return this.#random() < when.probability
    }
  }
}
