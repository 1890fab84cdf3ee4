import { lastAddress } from '../base/cidr.ts'
import type { Ipv4 } from '../base/ip.ts'
import { type Packed, packerOf, packRange } from '../nftables/datatype.ts'
import { editElements, setElementsOf, type Verdict } from '../nftables/elements.ts'
import type { Chain, NftSet, Table } from '../nftables/model.ts'
import { ShardedMap, ShardedMapEditor } from '../nftables/sharded-map.ts'
import { skeletonChains, skeletonSets } from './policy-skeleton.ts'
import {
  type Change,
  directions,
  peerKey,
  peerPortKey,
  type PeerSet,
  type PodPolicy,
  type PolicyDirection,
} from './policy-table.ts'
import {
  deniedChains,
  dispatchNames,
  dropsNames,
  type FlowWay,
  flowWays,
  itselfName,
  peerSetName,
  policyTableName,
  sourcesName,
} from './rule-names.ts'
import { SharedChains } from './shared-chains.ts'

export interface PolicyRulesOptions {
  /** The host's ends of pods' interfaces: a name, or a pattern such as `oci*`. */
  readonly localPods: string
}

/** The host's end of a pod's interface. */
export interface PodInterface {
  readonly name: string
  readonly addresses: readonly Ipv4[]
  readonly subject: InterfaceSubject
}

/** Whose policies apply to an interface. */
export type InterfaceSubject =
  /** `namespace/name` */
  | { readonly kind: 'pod'; readonly key: string }
  /** Of a container of no Kubernetes pod, to which no policy applies. */
  | { readonly kind: 'none' }
  /** Nobody knows its pod yet: nothing passes. */
  | { readonly kind: 'closed' }

/** What of a PolicyTableChange concerns the kernel, and the node's interfaces by name. */
export interface PolicyRuleChange {
  readonly pods?: readonly Change<PodPolicy>[]
  readonly peerSets?: readonly Change<PeerSet>[]
  readonly interfaces?: readonly Change<PodInterface>[]
}

const packIfname = packerOf(['ifname'])
const packSource = packerOf(['ifname', 'ipv4_addr'])
const packItself = packerOf(['ifname', 'ifname'])

/**
 * The policy table as one table of nf_tables. Sets and chains that a change does not touch are the same objects; pods with
 * the same policies share their chains. An interface that is unknown, or whose pod is, lets nothing through.
 */
export class PolicyRuleset {
  readonly #sets = new ShardedMapEditor<string, NftSet>(ShardedMap.of(skeletonSets()))
  readonly #chains: ShardedMapEditor<string, Chain>
  readonly #shared: SharedChains
  readonly #pods = new Map<string, PodPolicy>()
  readonly #interfaces = new Map<string, PodInterface>()
  readonly #interfacesOf = new Map<string, Set<string>>()

  constructor({ localPods }: PolicyRulesOptions) {
    this.#chains = new ShardedMapEditor(ShardedMap.of(skeletonChains(localPods)))
    this.#shared = new SharedChains({ chains: this.#chains, sets: this.#sets })
  }

  apply({ pods = [], peerSets = [], interfaces = [] }: PolicyRuleChange): void {
    for (const { key, after } of peerSets) {
      if (after === undefined) this.#sets.delete(peerSetName(key))
      else this.#sets.set(peerSetName(key), nftSetOf(after))
    }
    const touched = new Set<string>()
    for (const { key, before, after } of pods) {
      this.#putPod(key, before, after)
      for (const name of this.#interfacesOf.get(key) ?? []) touched.add(name)
    }
    for (const { key, after } of interfaces) {
      this.#putInterface(key, after)
      touched.add(key)
    }
    for (const name of touched) this.#dispatch(name)
  }

  /** As it is now. Costs what was edited since the last call. */
  table(): Table {
    return { family: 'ip', name: policyTableName, sets: this.#sets.edition(), chains: this.#chains.edition() }
  }

  #putPod(key: string, before: PodPolicy | undefined, after: PodPolicy | undefined): void {
    // First what comes: what both have stays.
    for (const direction of directions) if (after !== undefined) this.#shared.retain(direction, after[direction])
    for (const direction of directions) if (before !== undefined) this.#shared.release(before[direction])
    if (after === undefined) this.#pods.delete(key)
    else this.#pods.set(key, after)
  }

  #putInterface(name: string, after: PodInterface | undefined): void {
    const before = this.#interfaces.get(name)
    this.#unlink(before)
    if (after === undefined) this.#interfaces.delete(name)
    else this.#interfaces.set(name, after)
    this.#link(after)
    const sources = (one: PodInterface | undefined): readonly Packed[] =>
      (one?.addresses ?? []).map((address) => packSource(name, address))
    const itself = (one: PodInterface | undefined): readonly Packed[] =>
      one === undefined ? [] : [packItself(name, name)]
    this.#edit(sourcesName, sources(before), sources(after))
    this.#edit(itselfName, itself(before), itself(after))
    const counted = (one: PodInterface | undefined): readonly Packed[] => (one === undefined ? [] : [packIfname(name)])
    for (const drops of Object.values(dropsNames)) this.#edit(drops, counted(before), counted(after))
  }

  #link(one: PodInterface | undefined): void {
    if (one?.subject.kind !== 'pod') return
    const names = this.#interfacesOf.get(one.subject.key) ?? new Set<string>()
    this.#interfacesOf.set(one.subject.key, names.add(one.name))
  }

  #unlink(one: PodInterface | undefined): void {
    if (one?.subject.kind !== 'pod') return
    const names = this.#interfacesOf.get(one.subject.key)
    names?.delete(one.name)
    if (names?.size === 0) this.#interfacesOf.delete(one.subject.key)
  }

  #edit(set: string, deleted: readonly Packed[], added: readonly Packed[], value: Verdict | '' = ''): void {
    const known = this.#sets.get(set)
    if (known === undefined) throw new Error(`the table has no set ${set}`)
    const entries = added.map((key) => [key, value] as const)
    const gone = deleted.filter((key) => !added.includes(key))
    const elements = editElements(known.elements, { delete: gone, set: entries })
    if (elements !== known.elements) this.#sets.set(set, { ...known, elements })
  }

  /** Where what comes from and goes to an interface is judged. */
  #dispatch(name: string): void {
    const one = this.#interfaces.get(name)
    const key = packIfname(name)
    for (const direction of directions) {
      for (const way of flowWays) {
        if (one === undefined) this.#edit(dispatchNames[direction][way], [key], [])
        else this.#edit(dispatchNames[direction][way], [], [key], this.#targetOf(direction, way, one))
      }
    }
  }

  /** All but `jump`: what comes back from it would go on to the rule for unknown interfaces. */
  #targetOf(direction: PolicyDirection, way: FlowWay, { subject }: PodInterface): Verdict {
    if (subject.kind === 'none') return 'accept'
    const policy = subject.kind === 'pod' ? this.#pods.get(subject.key) : undefined
    if (policy === undefined) return `goto ${deniedChains[direction][way]}`
    const own = this.#shared.chainOf(policy[direction], way)
    return own === undefined ? 'accept' : `goto ${own}`
  }
}

function nftSetOf(set: PeerSet): NftSet {
  switch (set.kind) {
    case 'pods':
      return { key: peerKey, elements: set.members }
    case 'ports':
      return { key: peerPortKey, elements: set.members }
    case 'blocks': {
      const ranges = set.blocks.map((block) => packRange(peerKey, [block.address], [lastAddress(block)]))
      return { key: peerKey, interval: true, elements: setElementsOf(ranges) }
    }
  }
}
