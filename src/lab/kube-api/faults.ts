/** A request as faults and observers see it; `query` without the question mark. */
export interface SeenRequest {
  readonly method: string
  readonly path: string
  readonly query: string
}

export type FaultAnswer =
  /** Answered with a Status of that code, without being done. */
  | { readonly kind: 'status'; readonly code: number; readonly reason?: string; readonly retryAfterSeconds?: number }
  /** The connection is reset, without the request being done. */
  | { readonly kind: 'reset' }
  /** Done, but the connection is reset in place of an answer. */
  | { readonly kind: 'lost-answer' }
  /** Done and answered, later. */
  | { readonly kind: 'delay'; readonly delayMs: number }

export interface Fault {
  readonly matches: (request: SeenRequest) => boolean
  readonly answer: FaultAnswer
  /** How many matching requests it hits; Infinity until it is cleared. */
  readonly times: number
}

/** Failures to come, in the order in which they were added; each request meets at most one. */
export class Faults {
  #pending: { readonly fault: Fault; left: number }[] = []

  add(fault: Fault): void {
    this.#pending.push({ fault, left: fault.times })
  }

  clear(): void {
    this.#pending = []
  }

  /** The faults that have not hit as often as they were to. */
  get remaining(): number {
    return this.#pending.length
  }

  take(request: SeenRequest): FaultAnswer | undefined {
    const hit = this.#pending.find(({ fault }) => fault.matches(request))
    if (hit === undefined) return undefined
    hit.left -= 1
    if (hit.left <= 0) this.#pending = this.#pending.filter((entry) => entry !== hit)
    return hit.fault.answer
  }
}
