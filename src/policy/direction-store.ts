import type { NamedPort } from '../kube/policy-pod.ts'
import { compileRules, ingressPortNames, portSignature } from './compile-rules.ts'
import type { PeerSets } from './peer-sets.ts'
import type { DirectionPolicy, PolicyDirection, PolicyRules } from './policy-table.ts'
import type { PolicyUnit, Tier } from './policy-unit.ts'

interface RuleList {
  readonly id: number
  readonly rules: PolicyRules
  readonly sets: readonly string[]
  users: number
}
interface Entry {
  readonly id: string
  readonly lists: readonly (readonly [RuleList, PolicyUnit, listKey: string])[]
  users: number
}

const tiers: readonly Tier[] = ['admin', 'network', 'baseline']

/** The compiled directions of all pods: what is the same for several is made once, and kept as long as one has it. */
export class DirectionStore {
  readonly #peers: PeerSets
  readonly #lists = new Map<PolicyUnit, Map<string, RuleList>>()
  readonly #policies = new Map<string, DirectionPolicy>()
  readonly #entries = new Map<DirectionPolicy, Entry>()
  #lastId = 0

  constructor(peers: PeerSets) {
    this.#peers = peers
  }

  /** `units` in the order of their tiers and priorities. To be released as often. */
  acquire(direction: PolicyDirection, units: readonly PolicyUnit[], ports: readonly NamedPort[]): DirectionPolicy {
    const lists = units
      .filter((unit) => unit[direction] !== undefined)
      .map((unit) => {
        const signature = direction === 'ingress' ? portSignature(ingressPortNames(unit), ports) : ''
        const listKey = `${direction} ${signature}`
        return [this.#list(unit, direction, listKey, signature, ports), unit, listKey] as const
      })
    const id = `${direction} ${lists.map(([list]) => list.id).join(' ')}`
    const known = this.#policies.get(id)
    if (known !== undefined) {
      this.#entryOf(known).users++
      return known
    }
    for (const [list] of lists) list.users++
    const of = (tier: Tier): readonly PolicyRules[] =>
      lists.filter(([, unit]) => unit.tier === tier).map(([{ rules }]) => rules)
    const [admin = [], network = [], baseline = []] = tiers.map(of)
    const key = [direction, ...lists.map(([{ rules }]) => rules.key)].join('; ')
    const policy = { key, admin, network, baseline }
    this.#policies.set(id, policy)
    this.#entries.set(policy, { id, lists, users: 1 })
    return policy
  }

  release(policy: DirectionPolicy): void {
    const entry = this.#entryOf(policy)
    if (--entry.users > 0) return
    this.#entries.delete(policy)
    this.#policies.delete(entry.id)
    for (const [list, unit, listKey] of entry.lists) {
      if (--list.users > 0) continue
      for (const set of list.sets) this.#peers.release(set)
      const lists = this.#lists.get(unit)
      lists?.delete(listKey)
      if (lists?.size === 0) this.#lists.delete(unit)
    }
  }

  #entryOf(policy: DirectionPolicy): Entry {
    const entry = this.#entries.get(policy)
    if (entry === undefined) throw new Error(`${policy.key} was released more often than acquired`)
    return entry
  }

  #list(
    unit: PolicyUnit,
    direction: PolicyDirection,
    listKey: string,
    signature: string,
    ports: readonly NamedPort[],
  ): RuleList {
    const lists = this.#lists.get(unit) ?? new Map<string, RuleList>()
    this.#lists.set(unit, lists)
    const known = lists.get(listKey)
    if (known !== undefined) return known
    const { rules, peers } = compileRules(unit, direction, signature, ports)
    const list = { id: ++this.#lastId, rules, sets: peers.map((peer) => this.#peers.acquire(peer)), users: 0 }
    lists.set(listKey, list)
    return list
  }
}
