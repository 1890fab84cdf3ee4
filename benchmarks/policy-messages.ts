import type { ClusterChange } from './policy-objects.ts'
import type { ProcessMemory } from './process-memory.ts'

// What policy-sync's processes say to each other: each kind of question with the shape of its answer. Times are of the
// monotonic clock, in ms.

type Nothing = Readonly<Record<string, never>>

/** The API server. */
export interface PolicyApiQuestions {
  /** In a namespace, with so many policies there. Answers with a kubeconfig's text. */
  readonly start: {
    readonly question: { readonly netnsPath: string; readonly policies: number }
    readonly answer: string
  }
  /** Writes an object; when it began to. */
  readonly write: { readonly question: ClusterChange; readonly answer: number }
}

/** The agent's policy engine. */
export interface PolicyEngineQuestions {
  /** Answers when the kernel has everything. */
  readonly start: {
    readonly question: { readonly netnsPath: string; readonly kubeconfigPath: string }
    readonly answer: EngineStart
  }
  readonly memory: { readonly question: Nothing; readonly answer: ProcessMemory }
}

export interface EngineStart {
  /** From the first request to the API server to the kernel's answer. */
  readonly totalMs: number
  /** From the start of the process. */
  readonly processMs: number
  /** The part of it that was the writer and the kernel. */
  readonly kernelMs: number
  /** Resident before the first request. */
  readonly rssBeforeMiB: number
}
