import { err, ok, type Result } from '../base/result.ts'
import { attachPod, type AttachFailure, type InterfaceRole } from '../datapath/attach.ts'
import { planPod, type PodAttachment } from '../datapath/pod-plan.ts'
import type { Fd } from '../linux/fd.ts'
import type { NetlinkSocket } from '../linux/netlink/socket.ts'

// Far above what the kernel hands out by itself, so that the two rarely meet.
const firstIfindex = 0x10000
const lastIfindex = 0x7fff_fff0
/** Only interfaces of an earlier agent, or of somebody with the same idea, stand in the way: they are few in a row. */
const attempts = 4096

export interface AttachedInterface {
  readonly ifindex: number
  readonly role: InterfaceRole
}

/** Chooses interface indexes and makes pods' interfaces with them. */
export class HostInterfaces {
  readonly #node: NetlinkSocket
  #next: number

  /** `highestIfindex`: of the interfaces that exist. */
  constructor(node: NetlinkSocket, highestIfindex: number) {
    this.#node = node
    this.#next = highestIfindex >= firstIfindex && highestIfindex < lastIfindex ? highestIfindex + 1 : firstIfindex
  }

  /** Returns the index that both ends of the pair got. */
  attach(podNetns: Fd, attachment: Omit<PodAttachment, 'ifindex'>): Result<AttachedInterface, AttachFailure> {
    let failure: AttachFailure = { kind: 'ifindex-taken' }
    for (let attempt = 0; attempt < attempts && failure.kind === 'ifindex-taken'; attempt++) {
      const ifindex = this.#take()
      const attached = attachPod(this.#node, podNetns, planPod({ ...attachment, ifindex }))
      if (attached.ok) return ok({ ifindex, role: attached.value })
      failure = attached.error
    }
    return err(failure)
  }

  #take(): number {
    const ifindex = this.#next
    this.#next = ifindex < lastIfindex ? ifindex + 1 : firstIfindex
    return ifindex
  }
}
