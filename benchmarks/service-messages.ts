import type { ProcessMemory } from './process-memory.ts'

// What service-sync's processes say to each other: each kind of question with the shape of its answer. Times are of the
// monotonic clock, in ms.

type Nothing = Readonly<Record<string, never>>

/** The API server. */
export interface ApiQuestions {
  /** In a namespace, with so many Services there. */
  readonly start: {
    readonly question: { readonly netnsPath: string; readonly services: number; readonly endpoints: number }
    /** A kubeconfig's text. */
    readonly answer: string
  }
  /** Writes objects; when it began to. */
  readonly write: {
    readonly question: { readonly index: number; readonly endpoints: number; readonly kinds: readonly WrittenKind[] }
    readonly answer: number
  }
}

export type WrittenKind = 'service' | 'slice'

/** The service proxy. */
export interface ProxyQuestions {
  /** Answers when the kernel has everything. */
  readonly start: {
    readonly question: { readonly netnsPath: string; readonly kubeconfigPath: string }
    readonly answer: ColdStart
  }
  readonly memory: { readonly question: Nothing; readonly answer: ProcessMemory }
}

export interface ColdStart {
  /** From the first request to the API server to the kernel's answer. */
  readonly totalMs: number
  /** The part of it that was the transaction. */
  readonly kernelMs: number
}
