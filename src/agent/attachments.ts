import type { AttachmentKey } from '../base/attachment.ts'
import { formatAttachmentKey } from '../base/attachment.ts'
import type { Clock } from '../base/clock.ts'
import type { Ipv4 } from '../base/ip.ts'
import type { Logger } from '../base/logger.ts'
import { err, ok, type Result } from '../base/result.ts'
import type { AddRequest, CheckRequest, DelRequest, GcRequest } from '../cni/request.ts'
import type { CniError } from '../cni/errors.ts'
import { cniError } from '../cni/errors.ts'
import type { CniResult } from '../cni/result.ts'
import { checkPod } from '../datapath/check.ts'
import { hostIfname } from '../datapath/host-ifname.ts'
import { planPod, type PodAttachment } from '../datapath/pod-plan.ts'
import { allocate, type Allocation, type AllocationStrategy } from '../ipam/allocator.ts'
import type { AddressPool } from '../ipam/address-pool.ts'
import type { Journal } from '../ipam/journal.ts'
import type { HeldRow } from '../ipam/journal-row.ts'
import type { Fd } from '../linux/fd.ts'
import { decodeLink, deleteLink, getLink, type Link } from '../linux/netlink/link.ts'
import { NetlinkSocket } from '../linux/netlink/socket.ts'
import { withNetns } from '../linux/netns.ts'
import { findHostLink } from './adoption.ts'
import { allocationRefused, attachRefused, kernelRefused, notIsolated } from './cni-failures.ts'
import { checkResult, podResult } from './cni-results.ts'
import type { HostInterfaces } from './host-interfaces.ts'
import type { NodeNetwork } from './node-network.ts'
import type { GuardedInterface, PodGuard } from './pod-guard.ts'
import { openPodNetns } from './pod-netns.ts'

export interface AttachmentsDependencies {
  readonly journal: Journal
  readonly node: NodeNetwork
  readonly interfaces: HostInterfaces
  readonly quarantined: ReadonlyMap<Ipv4, Link>
  /** Addresses on their way back to the subnet, as of now. Absent: never any. */
  readonly releasing?: () => ReadonlySet<Ipv4>
  /** Absent: interfaces carry packets as soon as they are there. */
  readonly guard?: PodGuard | undefined
  readonly strategy: AllocationStrategy
  readonly cooldownMs: number
  readonly mtuBytes: number
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * ADD, DEL and CHECK of single attachments. The journal is written before the kernel is touched and again after, so
 * that an agent that dies in between finds what to take back (adoption.ts). Callers serialise by attachment.
 */
export class Attachments {
  readonly #deps: AttachmentsDependencies

  constructor(dependencies: AttachmentsDependencies) {
    this.#deps = dependencies
  }

  /** Of an ADD that arrives now; undefined: it never waits. */
  patience(): AbortSignal | undefined {
    const { guard } = this.#deps
    return guard && AbortSignal.timeout(guard.patienceMs)
  }

  /** Before `add`: an ADD that has to wait for its pod to be known takes nothing away meanwhile, and holds nothing. */
  async whyNotYet(
    { pod, netns }: Pick<AddRequest, 'pod' | 'netns'>,
    patience: AbortSignal | undefined,
  ): Promise<Result<never, CniError> | undefined> {
    const { guard } = this.#deps
    if (guard === undefined || patience === undefined) return undefined
    const opened = openPodNetns(netns)
    if (!opened.ok) return opened
    opened.value[Symbol.dispose]()
    const expected = await guard.expect(pod, patience)
    return expected.ok ? undefined : err(notIsolated(pod, expected.error))
  }

  async add(request: AddRequest, patience: AbortSignal | undefined): Promise<Result<CniResult, CniError>> {
    const opened = openPodNetns(request.netns)
    if (!opened.ok) return opened
    using netns = opened.value
    const { guard } = this.#deps
    if (guard === undefined || patience === undefined)
      return await this.#replaceRivals(request, netns, () => this.#attach(request, netns))
    return await this.#replaceRivals(request, netns, async () => {
      const cleared = await guard.clear(hostIfname(request.key, request.pod), patience)
      if (!cleared.ok) return err(notIsolated(request.pod, cleared.error))
      const attached = this.#attach(request, netns)
      return attached.ok ? this.#admit(request, attached.value, guard, patience) : attached
    })
  }

  async #replaceRivals(
    request: AddRequest,
    netns: Fd,
    attach: () => Promise<Result<CniResult, CniError>> | Result<CniResult, CniError>,
  ): Promise<Result<CniResult, CniError>> {
    const rivals = this.#rivals(request)
    if (!rivals.ok) return rivals
    // What an ADD that is bound to fail took away, nothing would bring back.
    const possible = rivals.value.length === 0 ? ok(undefined) : this.#foresee(request, netns)
    if (!possible.ok) return possible
    for (const row of rivals.value) {
      this.#deps.logger.warn('pod.replaced', {
        row: formatAttachmentKey(row.key),
        by: formatAttachmentKey(request.key),
      })
      const released = await this.release(row)
      if (!released.ok) return released
    }
    return attach()
  }

  /** The interface carries nothing until then; what the pod would be without its policies, nobody is to see. */
  async #admit(
    { key, pod }: AddRequest,
    result: CniResult,
    guard: PodGuard,
    patience: AbortSignal,
  ): Promise<Result<CniResult, CniError>> {
    const row = this.#deps.journal.find(key)
    if (row === undefined) throw new Error(`${formatAttachmentKey(key)} is attached and not in the journal`)
    const admitted = await guard.admit(guardedInterface(row), patience)
    // Other attachments do not wait for this one (`#rivals`): what happened to it meanwhile is not this ADD's to undo.
    if (this.#deps.journal.find(key) !== row) return err(notIsolated(pod, 'a newer sandbox of the pod took its place'))
    if (admitted.ok) return ok(result)
    const released = await this.release(row)
    return released.ok ? err(notIsolated(pod, admitted.error)) : released
  }

  /** Succeeds for what never was, or is gone already. The address cools down only once the interface is gone. */
  async del({ key }: Pick<DelRequest, 'key'>): Promise<Result<void, CniError>> {
    const row = this.#deps.journal.find(key)
    return row === undefined ? ok(undefined) : await this.release(row)
  }

  check(request: CheckRequest): Result<void, CniError> {
    const { journal, node } = this.#deps
    const row = journal.find(request.key)
    if (row?.state !== 'attached' || row.ifindex === null) {
      return err(cniError('CHECK_FAILED', `no address is reserved for ${formatAttachmentKey(request.key)}`))
    }
    const opened = openPodNetns(request.netns)
    if (!opened.ok) return opened
    using netns = opened.value
    const plan = planPod({ ...this.#podAttachment(row), ifindex: row.ifindex })
    const faults = [
      ...checkResult(request.prevResult, row, request.key.ifname),
      ...checkPod(node.socket, netns, plan, node.vnicPlan),
    ]
    return faults.length === 0 ? ok(undefined) : err(cniError('CHECK_FAILED', faults.join('; ')))
  }

  /** What the network's attachments are besides the valid ones; undefined: the runtime did not say. */
  garbage({ network, validAttachments, disableGC }: GcRequest): readonly HeldRow[] {
    if (validAttachments === undefined || disableGC) return []
    const valid = new Set(
      validAttachments.map(({ containerId, ifname }) => formatAttachmentKey({ network, containerId, ifname })),
    )
    return this.#deps.journal
      .held()
      .filter(({ key }) => key.network === network && !valid.has(formatAttachmentKey(key)))
  }

  /** Releases it unless, while the caller waited for its turn, a DEL or a new ADD came first. */
  async releaseUnchanged(row: HeldRow): Promise<Result<void, CniError>> {
    return this.#deps.journal.find(row.key) === row ? await this.release(row) : ok(undefined)
  }

  /** Takes the attachment's interface away, then lets its address cool down. */
  async release(row: HeldRow): Promise<Result<void, CniError>> {
    const { journal, node, cooldownMs, clock, logger } = this.#deps
    const releasing = journal.beginRelease(row.key)
    const link = this.#hostLink(row)
    const removed = link === undefined ? ok('absent') : await node.remover.remove(link)
    if (!removed.ok) return err(kernelRefused([removed.error]))
    // The pod's new sandbox (`#rivals`), the old one's DEL and housekeeping may be at it together: the first has done it.
    if (journal.find(row.key) !== releasing) return ok(undefined)
    journal.release(row.key, { nowMs: clock.nowMs(), cooldownMs })
    this.#deps.guard?.left(row.hostIfname)
    logger.info('pod.detached', { attachment: formatAttachmentKey(row.key), address: row.address, link: removed.value })
    return ok(undefined)
  }

  pool(): AddressPool {
    const { journal, node, quarantined, releasing, clock } = this.#deps
    const nowMs = clock.nowMs()
    // A VNIC without an interface can carry nothing: its addresses are not offered.
    const vnics = node.view.located.map(({ vnic }) => vnic)
    // Nor are addresses that the node itself has, which would be delivered to it and never to a pod.
    const taken = new Set([...quarantined.keys(), ...node.view.localAddresses])
    const leaving = releasing === undefined ? {} : { releasing: releasing() }
    return { vnics, uses: journal.view(nowMs), quarantined: taken, nowMs, ...leaving }
  }

  // Everything from here to the answer is synchronous: no other request and no repair sees a half-made attachment.
  #attach(request: AddRequest, netns: Fd): Result<CniResult, CniError> {
    const { journal, logger, interfaces } = this.#deps
    const { key, pod } = request
    const pool = this.pool()
    const allocated = this.#allocate(request, pool)
    if (!allocated.ok) return allocated
    const intended = journal.intend({
      ...allocated.value,
      key,
      netns: request.netns,
      hostIfname: hostIfname(key, pod),
      createdMs: pool.nowMs,
      ...(pod !== undefined && { pod }),
    })
    if (!intended.ok)
      return err(cniError('ATTACHMENT_EXISTS', `held by ${formatAttachmentKey(intended.error.holder.key)}`))
    const attachment = this.#podAttachment(intended.value, request.config.mtuBytes)
    const attached = interfaces.attach(netns, attachment)
    if (!attached.ok) {
      // Only a refusal is known to have left nothing behind. After an exception the intent stays for the DEL.
      journal.forget(key)
      return err(attachRefused(attached.error, request))
    }
    const { ifindex, role } = attached.value
    const row = this.#commit(key, ifindex)
    logger.info('pod.attached', { attachment: formatAttachmentKey(key), address: row.address, vnicId: row.vnicId, pod })
    return ok(podResult(request, { ...attachment, ifindex }, role))
  }

  // A disk that refuses the commit leaves nobody who knows of the address: the interface goes again, at once.
  #commit(key: AttachmentKey, ifindex: number): HeldRow {
    try {
      return this.#deps.journal.commit(key, { ifindex })
    } catch (error) {
      this.#deps.node.socket.request([deleteLink(ifindex)])
      this.#deps.journal.forget(key)
      throw error
    }
  }

  /** What is in the way of an ADD and gives way to it: leftovers of the same attachment, an older sandbox of the pod. */
  #rivals({ key, pod, netns }: AddRequest): Result<readonly HeldRow[], CniError> {
    const { journal } = this.#deps
    const same = journal.find(key)
    if (same?.state === 'attached' && this.#hostLink(same) !== undefined) {
      return err(cniError('ATTACHMENT_EXISTS', `${formatAttachmentKey(key)} is attached already, with ${same.address}`))
    }
    // The newest sandbox of a pod wins: its name is in use when the runtime has not torn the old one down yet. The
    // old one's DEL, whenever it comes, finds nothing of its own and takes nothing of the new one's.
    const named = journal.findByHostIfname(hostIfname(key, pod))
    const older = named === same ? undefined : named
    if (older !== undefined && (older.key.containerId === key.containerId || older.netns === netns)) {
      const holder = `${formatAttachmentKey(older.key)}, with ${older.address}`
      return err(cniError('ATTACHMENT_EXISTS', `this sandbox is attached already as ${holder}`))
    }
    return ok([same, older].filter((row) => row !== undefined))
  }

  /** Whether an ADD would succeed once its rivals have gone; their addresses will be cooling then, not free. */
  #foresee(request: AddRequest, netns: Fd): Result<void, CniError> {
    const allocated = this.#allocate(request, this.pool())
    if (!allocated.ok) return allocated
    using pod = withNetns(netns, () => new NetlinkSocket())
    const { ifname } = request.key
    if (!pod.get(getLink({ name: ifname }), decodeLink).ok) return ok(undefined)
    return err(attachRefused({ kind: 'pod-name-taken', ifname }, request))
  }

  #allocate({ requestedIp }: AddRequest, pool: AddressPool): Result<Allocation, CniError> {
    const { strategy } = this.#deps
    const allocated = allocate(pool, { strategy, ...(requestedIp !== undefined && { requestedIp }) })
    return allocated.ok ? allocated : err(allocationRefused(allocated.error))
  }

  #hostLink(row: HeldRow): Link | undefined {
    const which = row.ifindex === null ? { name: row.hostIfname } : { ifindex: row.ifindex }
    const present = this.#deps.node.socket.get(getLink(which), decodeLink)
    return present.ok ? findHostLink(row, [present.value]) : undefined
  }

  #podAttachment(row: HeldRow, mtuBytes = this.#deps.mtuBytes): Omit<PodAttachment, 'ifindex'> {
    const { nodeAddress, located } = this.#deps.node.view
    const link = located.find(({ vnic }) => vnic.id === row.vnicId)?.link
    return {
      key: row.key,
      address: row.address,
      hostIfname: row.hostIfname,
      mtuBytes: Math.min(mtuBytes, link?.mtuBytes ?? mtuBytes),
      ...(nodeAddress !== undefined && { nodeAddress }),
    }
  }
}

export function guardedInterface({ hostIfname: name, key, address, pod, netns }: HeldRow): GuardedInterface {
  // The runtime always names a namespace; tenants.ts, which adopts interfaces of a lost journal, knows none.
  return { name, key, address, isAdopted: netns === '', ...(pod !== undefined && { pod }) }
}
