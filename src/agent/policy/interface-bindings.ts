import { isDeepStrictEqual } from 'node:util'
import type { PodIdentity } from '../../base/attachment.ts'
import type { Ipv4 } from '../../base/ip.ts'
import { hostIfname } from '../../datapath/host-ifname.ts'
import { podUids } from '../../kube/pod-uids.ts'
import type { PolicyPod } from '../../kube/policy-pod.ts'
import type { InterfaceSubject, PodInterface } from '../../policy/policy-rules.ts'
import type { Change } from '../../policy/policy-table.ts'
import { whyUnknownPod } from '../known-pod.ts'
import type { GuardedInterface } from '../pod-guard.ts'

interface LocalPod {
  readonly uids: ReadonlySet<string>
  /** What the interfaces of its name are called whose attachment does not say the pod. */
  readonly ifname: string
}

/** Whose an interface is, as far as it is known. */
export interface InterfaceHolder {
  /** `namespace/name`; absent: a container of no pod, or of one that nobody knows. */
  readonly pod: string | undefined
  /** Nothing passes yet, whatever is said about a pod of that name. */
  readonly isClosed: boolean
}

/**
 * Which pod each interface of the node belongs to. Names are used again (StatefulSet): an interface is its pod's only as long
 * as both have the same uid, and closed otherwise.
 */
export class InterfaceBindings {
  readonly #node: string
  readonly #pods = new Map<string, LocalPod>()
  readonly #interfaces = new Map<string, GuardedInterface>()
  readonly #told = new Map<string, PodInterface>()
  #isDirty = false

  constructor(node: string) {
    this.#node = node
  }

  put(one: GuardedInterface): void {
    this.#interfaces.set(one.name, one)
    this.#isDirty = true
  }

  remove(name: string): void {
    this.#isDirty = this.#interfaces.delete(name) || this.#isDirty
  }

  putPods(pods: ReadonlyMap<string, PolicyPod | undefined>): void {
    for (const [key, pod] of pods) {
      const isOurs = pod?.nodeName === this.#node && !pod.hostNetwork
      if (!isOurs && !this.#pods.has(key)) continue
      const local = isOurs ? localPodOf(pod) : undefined
      if (isDeepStrictEqual(local, this.#pods.get(key))) continue
      if (local === undefined) this.#pods.delete(key)
      else this.#pods.set(key, local)
      this.#isDirty = true
    }
  }

  /** What became different since the last call. */
  takeChange(): readonly Change<PodInterface>[] {
    if (!this.#isDirty) return []
    this.#isDirty = false
    const changes: Change<PodInterface>[] = []
    for (const key of new Set([...this.#told.keys(), ...this.#interfaces.keys()])) {
      const before = this.#told.get(key)
      const one = this.#interfaces.get(key)
      const after = one && { name: key, addresses: [one.address], subject: this.#subjectOf(one) }
      if (isDeepStrictEqual(before, after)) continue
      if (after === undefined) this.#told.delete(key)
      else this.#told.set(key, after)
      changes.push({ key, before, after })
    }
    return changes
  }

  /** As of the last `takeChange`. */
  subjectOf(name: string): InterfaceSubject {
    return this.#told.get(name)?.subject ?? closed
  }

  /** As of the last `takeChange`. */
  holderOf(name: string): InterfaceHolder {
    const subject = this.subjectOf(name)
    const { pod } = this.#interfaces.get(name) ?? {}
    const named = pod === undefined ? undefined : `${pod.namespace}/${pod.name}`
    return { pod: subject.kind === 'pod' ? subject.key : named, isClosed: subject.kind === 'closed' }
  }

  /** Undefined: no interface of this node has the address. */
  holderOfAddress(address: Ipv4): InterfaceHolder | undefined {
    for (const one of this.#interfaces.values()) if (one.address === address) return this.holderOf(one.name)
    return undefined
  }

  /** Why this pod is not known by the API server's lists; undefined: it is. */
  whyUnknown(pod: PodIdentity): string | undefined {
    return whyUnknownPod(pod, this.#pods.get(`${pod.namespace}/${pod.name}`)?.uids, this.#node)
  }

  #subjectOf(one: GuardedInterface): InterfaceSubject {
    const { pod, name, key } = one
    if (pod !== undefined) {
      return this.whyUnknown(pod) === undefined ? { kind: 'pod', key: `${pod.namespace}/${pod.name}` } : closed
    }
    // The name of a further interface is the same with a pod and without.
    if (one.isAdopted === true && key.ifname !== 'eth0') return closed
    if (name === hostIfname(key, undefined)) return { kind: 'none' }
    // The journal was lost and with it whose interface it is, but for its name.
    const named = [...this.#pods].find(([, { ifname }]) => ifname === name)
    return named === undefined ? closed : { kind: 'pod', key: named[0] }
  }
}

const closed: InterfaceSubject = { kind: 'closed' }

function localPodOf({ metadata }: PolicyPod): LocalPod {
  const { namespace, name } = metadata
  return {
    uids: podUids(metadata),
    ifname: hostIfname({ network: '', containerId: '', ifname: 'eth0' }, { namespace, name }),
  }
}
