import type { Ipv4 } from '../base/ip.ts'
import type { Labels } from '../kube/label-selector.ts'
import type { NamedPort } from '../kube/policy-pod.ts'
import { l4Of } from '../kube/service-port.ts'
import { type Packed, packerOf } from '../nftables/datatype.ts'
import { editElements, elementsOf, noElements } from '../nftables/elements.ts'
import { resolveNamedPort } from './named-ports.ts'
import { type Peer, peerText } from './peers.ts'
import { PodGroups } from './pod-groups.ts'
import { type Change, peerKey, peerPortKey, type PeerSet } from './policy-table.ts'

/** A pod that may be at the other end of a flow. */
export interface PeerPod {
  readonly addresses: readonly Ipv4[]
  readonly namedPorts: readonly NamedPort[]
}
type PodPeer = Exclude<Peer, { readonly kind: 'blocks' }>
interface Entry {
  set: PeerSet
  users: number
}
interface PodEntry extends Entry {
  set: Exclude<PeerSet, { readonly kind: 'blocks' }>
  readonly peer: PodPeer
  readonly group: string
  /** How many pods a member stands for: an address may be handed on before the old pod's end is known. */
  readonly uses: Map<Packed, number>
  /** Members that came or went since the last take, and whether they were there then. */
  readonly touched: Map<Packed, boolean>
}

const packAddress = packerOf(peerKey)
const packPort = packerOf(peerPortKey)

/** The sets of peers that rules refer to, kept up to date with the pods of the whole cluster. */
export class PeerSets {
  readonly #groups = new PodGroups<PeerPod>((group, _pod, before, after) => {
    for (const entry of this.#ofGroup.get(group) ?? []) this.#count(entry, before, after)
  })
  readonly #entries = new Map<string, Entry | PodEntry>()
  readonly #ofGroup = new Map<string, Set<PodEntry>>()
  /** What was in the table at the last take. */
  readonly #before = new Map<string, PeerSet | undefined>()
  readonly #touched = new Set<PodEntry>()

  putNamespace(name: string, labels: Labels | undefined): void {
    this.#groups.putNamespace(name, labels)
  }

  putPod(key: string, namespace: string, labels: Labels, value: PeerPod | undefined): void {
    this.#groups.putPod(key, value === undefined ? undefined : { namespace, labels, value })
  }

  /** Its key; a set has its members after the next take, and is gone when it was released as often as acquired. */
  acquire(peer: Peer): string {
    const key = peerText(peer)
    const known = this.#entries.get(key)
    if (known !== undefined) {
      known.users++
      return key
    }
    this.#remember(key, undefined)
    this.#entries.set(key, peer.kind === 'blocks' ? blocksEntry(key, peer) : this.#podEntry(key, peer))
    return key
  }

  release(key: string): void {
    const entry = this.#entries.get(key)
    if (entry === undefined || --entry.users > 0) return
    this.#remember(key, entry.set)
    this.#entries.delete(key)
    if (!('group' in entry)) return
    const siblings = this.#ofGroup.get(entry.group)
    siblings?.delete(entry)
    if (siblings?.size === 0) this.#ofGroup.delete(entry.group)
    this.#touched.delete(entry)
    this.#groups.release(entry.group)
  }

  get(key: string): PeerSet | undefined {
    return this.#entries.get(key)?.set
  }

  all(): ReadonlyMap<string, PeerSet> {
    return new Map([...this.#entries].map(([key, { set }]) => [key, set]))
  }

  /** Since the last call. */
  takeChange(): readonly Change<PeerSet>[] {
    this.#groups.settle()
    for (const entry of this.#touched) this.#edit(entry)
    this.#touched.clear()
    const changes = [...this.#before].map(([key, before]) => ({ key, before, after: this.get(key) }))
    this.#before.clear()
    return changes.filter(({ before, after }) => before !== after)
  }

  #edit(entry: PodEntry): void {
    const added: Packed[] = []
    const deleted: Packed[] = []
    for (const [member, wasThere] of entry.touched) {
      const isThere = entry.uses.has(member)
      if (isThere && !wasThere) added.push(member)
      else if (wasThere && !isThere) deleted.push(member)
    }
    entry.touched.clear()
    if (added.length + deleted.length === 0) return
    const set = added.map((member) => [member, ''] as const)
    const { members } = entry.set
    this.#remember(entry.set.key, entry.set)
    const edited = members.size === 0 ? elementsOf(set) : editElements(members, { set, delete: deleted })
    entry.set = { ...entry.set, members: edited }
  }

  #podEntry(key: string, peer: PodPeer): PodEntry {
    const group = this.#groups.acquire(peer.selection)
    const entry: PodEntry = {
      set: { kind: peer.kind, key, members: noElements },
      users: 1,
      peer,
      group,
      uses: new Map(),
      touched: new Map(),
    }
    const siblings = this.#ofGroup.get(group)
    if (siblings === undefined) this.#ofGroup.set(group, new Set([entry]))
    else siblings.add(entry)
    for (const [, pod] of this.#groups.members(group)) this.#count(entry, undefined, pod)
    return entry
  }

  #count(entry: PodEntry, before: PeerPod | undefined, after: PeerPod | undefined): void {
    const change = (member: Packed, by: 1 | -1): void => {
      const uses = entry.uses.get(member) ?? 0
      if (!entry.touched.has(member)) entry.touched.set(member, uses > 0)
      if (uses + by > 0) entry.uses.set(member, uses + by)
      else entry.uses.delete(member)
    }
    for (const member of membersOf(entry.peer, after)) change(member, 1)
    for (const member of membersOf(entry.peer, before)) change(member, -1)
    this.#touched.add(entry)
  }

  #remember(key: string, set: PeerSet | undefined): void {
    if (!this.#before.has(key)) this.#before.set(key, set)
  }
}

function blocksEntry(key: string, { blocks }: Extract<Peer, { readonly kind: 'blocks' }>): Entry {
  return { set: { kind: 'blocks', key, blocks }, users: 1 }
}

function membersOf(peer: PodPeer, pod: PeerPod | undefined): readonly Packed[] {
  if (pod === undefined) return []
  if (peer.kind === 'pods') return pod.addresses.map((address) => packAddress(address))
  const ports = resolveNamedPort(pod.namedPorts, peer.name, peer.protocol)
  return pod.addresses.flatMap((address) => ports.map(({ protocol, port }) => packPort(address, l4Of[protocol], port)))
}
