import { isDeepStrictEqual } from 'node:util'
import { formatFieldErrors } from '../base/schema.ts'
import type { NativePodNetwork } from '../kube/native-pod-network.ts'
import type { NpnStatus } from '../kube/native-pod-network-status.ts'
import type { JsonValue } from '../kube/object.ts'
import type { VnicAttachment } from '../oci/core-services.ts'
import type { InstanceOcid } from '../oci/ocid.ts'
import type { NodeObserver } from './node-observer.ts'
import type { NodeObservation } from './observation.ts'
import { ReleasePatience } from './release-patience.ts'

/** Lists without an attachment that was begun, before it is taken for gone. */
const missesBelieved = 3

/** What is kept of a node between two turns. A new controller begins without it: nothing in it is needed to be right. */
export class NodeState {
  readonly instanceId: InstanceOcid
  readonly observer: NodeObserver
  readonly patience: ReleasePatience
  /** Counts up when the cloud answers a retry token with something that is gone again. */
  tokenSalt = 0
  /** Attached by this process, and not yet seen as ATTACHED. */
  pendingAttachment: VnicAttachment['id'] | undefined
  excessSinceMs: number | undefined
  /** The last status that was written, and so told in events; absent until then. */
  told: NpnStatus | undefined
  #pendingMisses = 0
  // Versions of the resource that our own writes have replaced: the cache may still show them.
  readonly #superseded = new Set<string>()
  #written: NativePodNetwork | undefined
  // As this process wrote it last, once the watch has shown it.
  #publishedVnics: JsonValue | undefined

  constructor(instanceId: InstanceOcid, observer: NodeObserver, releasePatienceMs: number) {
    this.instanceId = instanceId
    this.observer = observer
    this.patience = new ReleasePatience(releasePatienceMs)
  }

  /** The cache's version, or the answer to our own last write while the cache has not heard of it. */
  newest(cached: NativePodNetwork): NativePodNetwork {
    const written = this.#written
    if (written === undefined || cached.metadata.uid !== written.metadata.uid) return cached
    const { resourceVersion } = cached.metadata
    if (this.#superseded.has(resourceVersion)) return written
    if (resourceVersion === written.metadata.resourceVersion) this.#publishedVnics = written.rawStatus['vnics']
    this.#superseded.clear()
    this.#written = undefined
    return cached
  }

  /** To be asked about what the watch shows: from then on `findEdit` knows what is published. */
  isOwnWrite(resourceVersion: string): boolean {
    const isLast = this.#written?.metadata.resourceVersion === resourceVersion
    if (isLast) this.#publishedVnics = this.#written?.rawStatus['vnics']
    return isLast || this.#superseded.has(resourceVersion)
  }

  wrote(before: NativePodNetwork, after: NativePodNetwork): void {
    this.#superseded.add(before.metadata.resourceVersion)
    this.#written = after
    this.#publishedVnics = undefined
    this.told = after.status.ok ? after.status.value : undefined
  }

  /** What somebody else did to the parts of the status that are the controller's, if anything. */
  findEdit({ rawStatus, status }: NativePodNetwork): string | undefined {
    if (!status.ok) return formatFieldErrors(status.error)
    const isOurs = this.#publishedVnics === undefined || isDeepStrictEqual(rawStatus['vnics'], this.#publishedVnics)
    return isOurs ? undefined : 'status.vnics is not what the controller wrote there'
  }

  /** Looks for an attachment that was begun here, and whether it ended without a VNIC. */
  settlePending({ attachments }: NodeObservation): 'settled' | 'unseen' | 'undone' {
    if (this.pendingAttachment === undefined) return 'settled'
    const pending = attachments.find(({ id }) => id === this.pendingAttachment)
    // A list may be older than the answer that named the attachment; after a while it is really gone.
    if (pending === undefined && ++this.#pendingMisses < missesBelieved) return 'unseen'
    this.#pendingMisses = 0
    if (pending?.lifecycleState === 'ATTACHING') return 'settled'
    this.pendingAttachment = undefined
    if (pending?.lifecycleState === 'ATTACHED') return 'settled'
    this.tokenSalt++
    return 'undone'
  }
}
