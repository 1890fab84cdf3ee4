import { isDeepStrictEqual } from 'node:util'
import type { Chain, NftSet } from '../nftables/model.ts'
import type { ShardedMapEditor } from '../nftables/sharded-map.ts'
import { type ChainParts, chainsOf, type SharedChain } from './policy-chains.ts'
import type { DirectionPolicy, PolicyDirection } from './policy-table.ts'
import { type FlowWay, flowWays } from './rule-names.ts'

interface ChainEntry extends ChainParts {
  readonly made: SharedChain['made']
  users: number
}

interface DirectionEntry {
  readonly chains: Readonly<Record<FlowWay, readonly SharedChain[]>>
  /** Pods that have it. */
  users: number
}

/** Where the chains and their port lists are put, and taken away again. */
export interface ChainPlaces {
  readonly chains: ShardedMapEditor<string, Chain>
  readonly sets: ShardedMapEditor<string, NftSet>
}

/** The chains of pods' policies: made for the first pod, gone with the last. */
export class SharedChains {
  readonly #places: ChainPlaces
  readonly #directions = new Map<DirectionPolicy, DirectionEntry>()
  readonly #chains = new Map<string, ChainEntry>()
  readonly #portListUsers = new Map<string, number>()

  constructor(places: ChainPlaces) {
    this.#places = places
  }

  /** The chain that judges a pod with that policy; undefined when nothing is said about it. */
  chainOf(policy: DirectionPolicy, way: FlowWay): string | undefined {
    return this.#directions.get(policy)?.chains[way].at(-1)?.name
  }

  retain(direction: PolicyDirection, policy: DirectionPolicy): void {
    const known = this.#directions.get(policy)
    if (known !== undefined) {
      known.users++
      return
    }
    const chains = { there: chainsOf(direction, 'there', policy), back: chainsOf(direction, 'back', policy) }
    this.#directions.set(policy, { chains, users: 1 })
    for (const way of flowWays) for (const chain of chains[way]) this.#retainChain(chain)
  }

  release(policy: DirectionPolicy): void {
    const entry = this.#directions.get(policy)
    if (entry === undefined || --entry.users > 0) return
    this.#directions.delete(policy)
    for (const way of flowWays) for (const { name } of entry.chains[way]) this.#releaseChain(name)
  }

  #retainChain(chain: SharedChain): void {
    const known = this.#chains.get(chain.name)
    if (known !== undefined && isSame(known.made, chain.made)) {
      known.users++
      return
    }
    const built = chain.build()
    for (const [name, set] of built.portLists) this.#retainPortList(name, set)
    for (const name of known?.portLists.keys() ?? []) this.#releasePortList(name)
    this.#chains.set(chain.name, { ...built, made: chain.made, users: (known?.users ?? 0) + 1 })
    if (!isDeepStrictEqual(known?.rules, built.rules)) this.#places.chains.set(chain.name, { rules: built.rules })
  }

  #releaseChain(name: string): void {
    const entry = this.#chains.get(name)
    if (entry === undefined || --entry.users > 0) return
    this.#chains.delete(name)
    this.#places.chains.delete(name)
    for (const list of entry.portLists.keys()) this.#releasePortList(list)
  }

  #retainPortList(name: string, set: NftSet): void {
    const users = this.#portListUsers.get(name) ?? 0
    this.#portListUsers.set(name, users + 1)
    if (users === 0) this.#places.sets.set(name, set)
  }

  #releasePortList(name: string): void {
    const users = (this.#portListUsers.get(name) ?? 1) - 1
    if (users > 0) this.#portListUsers.set(name, users)
    else {
      this.#portListUsers.delete(name)
      this.#places.sets.delete(name)
    }
  }
}

function isSame(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((one, index) => one === b[index])
}
