import type { AttachmentKey, PodIdentity } from '../base/attachment.ts'
import type { Ipv4 } from '../base/ip.ts'
import type { Result } from '../base/result.ts'

/** The host's end of an attachment's interface. */
export interface GuardedInterface {
  readonly name: string
  readonly key: AttachmentKey
  readonly address: Ipv4
  /** Found in the kernel after the journal was lost: who made it and for whom is not known, but for its name. */
  readonly isAdopted?: boolean
  /** Absent: of no Kubernetes pod, or of one whose name went with a lost journal. */
  readonly pod?: PodIdentity
}

/**
 * Decides when a pod's interface may carry packets; one that it does not know carries none. What waits succeeds, or tells in
 * words why it was not so when `signal` aborted.
 */
export interface PodGuard {
  /** How long an ADD waits at most. */
  readonly patienceMs: number
  /** Why no pod will ever get its network here until an operator does something. */
  readonly refusal: string | undefined
  /** An ADD of a pod that is known would not have to wait. */
  readonly isReady: boolean
  /** Until what is said about the pod is known here. Undefined: it is no Kubernetes pod. */
  expect(pod: PodIdentity | undefined, signal: AbortSignal): Promise<Result<void, string>>
  /** Until nothing in the kernel lets packets of an earlier interface of that name through. */
  clear(name: string, signal: AbortSignal): Promise<Result<void, string>>
  /** Until the kernel does to this interface's packets what is said about its pod. */
  admit(one: GuardedInterface, signal: AbortSignal): Promise<Result<void, string>>
  /** The interface is gone. */
  left(name: string): void
}
