import type { PrivateIp, VnicAttachment } from '../oci/core-services.ts'
import type { NodeObserver } from './node-observer.ts'

/** What steps need to know of a node beside what its observer sees, and leave behind. */
export interface NodeHandle {
  readonly observer: NodeObserver
  /** Counts up when the cloud answers with something that is gone again. */
  tokenSalt: number
  /** Attached by this process, and not yet seen as ATTACHED. */
  pendingAttachment: VnicAttachment['id'] | undefined
  /** Were to be deleted, and not there. */
  readonly notFound: Set<PrivateIp['id']>
}
