import { isDeepStrictEqual } from 'node:util'
import { formatFieldErrors } from '../base/schema.ts'
import type { NativePodNetwork } from '../kube/native-pod-network.ts'
import type { NpnStatus } from '../kube/native-pod-network-status.ts'
import type { JsonValue } from '../kube/object.ts'
import type { PrivateIp, VnicAttachment } from '../oci/core-services.ts'
import type { InstanceOcid } from '../oci/ocid.ts'
import type { NodeObserver } from './node-observer.ts'
import { addressesOf, type NodeObservation } from './observation.ts'
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
  readonly notFound = new Set<PrivateIp['id']>()
  excessSinceMs: number | undefined
  /** The last status that was written, and so told in events; absent until then. */
  told: NpnStatus | undefined
  #pendingMisses = 0
  // The resource's; one that was deleted and made again is another one.
  #uid: string | undefined
  // Later than what the cache shows.
  #known: NativePodNetwork | undefined
  readonly #replaced = new Set<string>()
  // As this process wrote it last; the write goes through only on the version that it was made from.
  #publishedVnics: JsonValue | undefined

  constructor(instanceId: InstanceOcid, observer: NodeObserver, releasePatienceMs: number) {
    this.instanceId = instanceId
    this.observer = observer
    this.patience = new ReleasePatience(releasePatienceMs)
  }

  /** The cache's version, or a later one that this process has from a write's answer or a read. */
  newest(cached: NativePodNetwork): NativePodNetwork {
    if (cached.metadata.uid !== this.#uid) {
      this.#uid = cached.metadata.uid
      this.#publishedVnics = undefined
      this.#known = undefined
    }
    const known = this.#known
    if (known === undefined) return cached
    if (this.#isBefore(cached, known)) return known
    this.#replaced.clear()
    this.#known = undefined
    return cached
  }

  /** No news: a version that is known here already, as the watch shows it later. */
  isKnown(version: NativePodNetwork): boolean {
    const known = this.#known
    if (known?.metadata.uid !== version.metadata.uid) return false
    return version.metadata.resourceVersion === known.metadata.resourceVersion || this.#isBefore(version, known)
  }

  /** `after` is the answer to a write on `before`. */
  wrote(before: NativePodNetwork, after: NativePodNetwork): void {
    this.read(before, after)
    this.#publishedVnics = after.rawStatus['vnics']
    this.told = after.status.ok ? after.status.value : undefined
  }

  /** `after` was read although the cache still had `before`. */
  read(before: NativePodNetwork, after: NativePodNetwork): void {
    this.#replaced.add(before.metadata.resourceVersion)
    this.#known = after
    this.#uid = after.metadata.uid
  }

  /** A write of ours may be there or not. */
  lostTrack(): void {
    this.#publishedVnics = undefined
  }

  // Versions of etcd are numbers that grow (and comparable by KEP-5504); where they are not numbers, those that were
  // replaced here are known to be older, and others are taken for newer.
  #isBefore({ metadata: { resourceVersion: one } }: NativePodNetwork, known: NativePodNetwork): boolean {
    const other = known.metadata.resourceVersion
    if (/^\d+$/.test(one) && /^\d+$/.test(other)) return BigInt(one) < BigInt(other)
    return this.#replaced.has(one)
  }

  /** What somebody else did to the parts of the status that are the controller's, if anything. */
  findEdit({ rawStatus, status }: NativePodNetwork): string | undefined {
    if (!status.ok) return formatFieldErrors(status.error)
    const isOurs = this.#publishedVnics === undefined || isDeepStrictEqual(rawStatus['vnics'], this.#publishedVnics)
    return isOurs ? undefined : 'status.vnics is not what the controller wrote there'
  }

  /**
   * Whether the status names addresses that were not seen in the cloud, and this process did not write that: then another
   * controller may have made them since, and what was seen is too old to be written.
   */
  isAheadOf({ rawStatus, status }: NativePodNetwork, { vnics }: NodeObservation): boolean {
    if (!status.ok || isDeepStrictEqual(rawStatus['vnics'], this.#publishedVnics)) return false
    const seen = new Set(vnics.flatMap(({ objects }) => objects.flatMap(addressesOf)))
    return status.value.vnics.some(({ addresses }) => addresses.some((address) => !seen.has(address)))
  }

  /** Looks for an attachment that was begun here, and whether it ended without a VNIC. */
  settlePending({ attachments }: NodeObservation): 'settled' | 'unseen' | 'undone' {
    if (this.pendingAttachment === undefined) return 'settled'
    const pending = attachments.find(({ id }) => id === this.pendingAttachment)
    // A list may be older than the answer that named the attachment; after a while it is really gone.
    if (pending === undefined && ++this.#pendingMisses < missesBelieved) {
      this.observer.doubt()
      return 'unseen'
    }
    this.#pendingMisses = 0
    if (pending?.lifecycleState === 'ATTACHING') return 'settled'
    this.pendingAttachment = undefined
    if (pending?.lifecycleState === 'ATTACHED') return 'settled'
    this.tokenSalt++
    return 'undone'
  }
}
