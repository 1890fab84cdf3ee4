import { isDeepStrictEqual } from 'node:util'
import { lastAddress } from '../base/cidr.ts'
import type { Ipv4 } from '../base/ip.ts'
import { type Packed, packerOf, packRange } from '../nftables/datatype.ts'
import { editElements, setElementsOf, type Verdict } from '../nftables/elements.ts'
import type { Chain, NftSet, Table } from '../nftables/model.ts'
import { chainsOf, type ChainParts, type SharedChain } from './policy-chains.ts'
import { skeletonChains, skeletonSets } from './policy-skeleton.ts'
import {
  type Change,
  type DirectionPolicy,
  peerKey,
  peerPortKey,
  type PeerSet,
  type PodPolicy,
  type PolicyDirection,
} from './policy-table.ts'
import { deniedChain, dispatchNames, itselfName, peerSetName, policyTableName, sourcesName } from './rule-names.ts'

export interface PolicyRulesOptions {
  /** The host's ends of pods' interfaces: a name, or a pattern such as `oci*`. */
  readonly localPods: string
}

/** The host's end of a pod's interface. */
export interface PodInterface {
  readonly name: string
  readonly addresses: readonly Ipv4[]
  /** `namespace/name`; absent: of no Kubernetes pod, to which no policy applies. */
  readonly pod?: string
}

/** What of a PolicyTableChange concerns the kernel, and the node's interfaces by name. */
export interface PolicyRuleChange {
  readonly pods?: readonly Change<PodPolicy>[]
  readonly peerSets?: readonly Change<PeerSet>[]
  readonly interfaces?: readonly Change<PodInterface>[]
}

interface ChainEntry extends ChainParts {
  readonly made: SharedChain['made']
  users: number
}

interface DirectionEntry {
  readonly chains: readonly SharedChain[]
  /** Pods that have it. */
  users: number
}

const directions: readonly PolicyDirection[] = ['egress', 'ingress']
const packIfname = packerOf(['ifname'])
const packSource = packerOf(['ifname', 'ipv4_addr'])
const packItself = packerOf(['ifname', 'ifname'])

/**
 * The policy table as one table of nf_tables. Sets and chains that a change does not touch are the same objects; pods with
 * the same policies share their chains. An interface whose pod is unknown lets nothing through.
 */
export class PolicyRuleset {
  readonly #sets = new Map<string, NftSet>(skeletonSets())
  readonly #chains: Map<string, Chain>
  readonly #directions = new Map<DirectionPolicy, DirectionEntry>()
  readonly #shared = new Map<string, ChainEntry>()
  readonly #portListUsers = new Map<string, number>()
  readonly #pods = new Map<string, PodPolicy>()
  readonly #interfaces = new Map<string, PodInterface>()
  readonly #interfacesOf = new Map<string, Set<string>>()

  constructor({ localPods }: PolicyRulesOptions) {
    this.#chains = new Map(skeletonChains(localPods))
  }

  apply({ pods = [], peerSets = [], interfaces = [] }: PolicyRuleChange): Table {
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
    return this.table()
  }

  table(): Table {
    return { family: 'ip', name: policyTableName, sets: new Map(this.#sets), chains: new Map(this.#chains) }
  }

  #putPod(key: string, before: PodPolicy | undefined, after: PodPolicy | undefined): void {
    // First what comes: what both have stays.
    for (const direction of directions) if (after !== undefined) this.#retain(direction, after[direction])
    for (const direction of directions) if (before !== undefined) this.#release(before[direction])
    if (after === undefined) this.#pods.delete(key)
    else this.#pods.set(key, after)
  }

  #retain(direction: PolicyDirection, policy: DirectionPolicy): void {
    const known = this.#directions.get(policy)
    if (known !== undefined) {
      known.users++
      return
    }
    const chains = chainsOf(direction, policy)
    this.#directions.set(policy, { chains, users: 1 })
    for (const chain of chains) this.#retainChain(chain)
  }

  #release(policy: DirectionPolicy): void {
    const entry = this.#directions.get(policy)
    if (entry === undefined || --entry.users > 0) return
    this.#directions.delete(policy)
    for (const { name } of entry.chains) this.#releaseChain(name)
  }

  #retainChain(chain: SharedChain): void {
    const known = this.#shared.get(chain.name)
    if (known !== undefined && isSame(known.made, chain.made)) {
      known.users++
      return
    }
    const built = chain.build()
    for (const [name, set] of built.portLists) this.#retainPortList(name, set)
    for (const name of known?.portLists.keys() ?? []) this.#releasePortList(name)
    this.#shared.set(chain.name, { ...built, made: chain.made, users: (known?.users ?? 0) + 1 })
    if (!isDeepStrictEqual(known?.rules, built.rules)) this.#chains.set(chain.name, { rules: built.rules })
  }

  #releaseChain(name: string): void {
    const entry = this.#shared.get(name)
    if (entry === undefined || --entry.users > 0) return
    this.#shared.delete(name)
    this.#chains.delete(name)
    for (const list of entry.portLists.keys()) this.#releasePortList(list)
  }

  #retainPortList(name: string, set: NftSet): void {
    const users = this.#portListUsers.get(name) ?? 0
    this.#portListUsers.set(name, users + 1)
    if (users === 0) this.#sets.set(name, set)
  }

  #releasePortList(name: string): void {
    const users = (this.#portListUsers.get(name) ?? 1) - 1
    if (users > 0) this.#portListUsers.set(name, users)
    else {
      this.#portListUsers.delete(name)
      this.#sets.delete(name)
    }
  }

  #putInterface(name: string, after: PodInterface | undefined): void {
    const before = this.#interfaces.get(name)
    if (before?.pod !== undefined) this.#interfacesOf.get(before.pod)?.delete(name)
    if (before?.pod !== undefined && this.#interfacesOf.get(before.pod)?.size === 0)
      this.#interfacesOf.delete(before.pod)
    if (after === undefined) this.#interfaces.delete(name)
    else this.#interfaces.set(name, after)
    if (after?.pod !== undefined) {
      const names = this.#interfacesOf.get(after.pod) ?? new Set<string>()
      this.#interfacesOf.set(after.pod, names.add(name))
    }
    const sources = (one: PodInterface | undefined): readonly Packed[] =>
      (one?.addresses ?? []).map((address) => packSource(name, address))
    const itself = (one: PodInterface | undefined): readonly Packed[] =>
      one === undefined ? [] : [packItself(name, name)]
    this.#edit(sourcesName, sources(before), sources(after))
    this.#edit(itselfName, itself(before), itself(after))
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
      const target = one === undefined ? undefined : this.#targetOf(direction, one)
      if (target === undefined) this.#edit(dispatchNames[direction], [key], [])
      else this.#edit(dispatchNames[direction], [], [key], target)
    }
  }

  #targetOf(direction: PolicyDirection, { pod }: PodInterface): Verdict | undefined {
    if (pod === undefined) return undefined
    const policy = this.#pods.get(pod)
    if (policy === undefined) return `goto ${deniedChain}`
    const own = this.#directions.get(policy[direction])?.chains.at(-1)
    return own === undefined ? undefined : `jump ${own.name}`
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

function isSame(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((one, index) => one === b[index])
}
