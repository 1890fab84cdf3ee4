import { l4Of } from '../kube/service-port.ts'
import type { Ip } from '../base/ip.ts'
import { type Packed, packerOf } from '../nftables/datatype.ts'
import type { Chain, NftSet, Rule, Table } from '../nftables/model.ts'
import { type AffinityPurge, planPurges, type StickyChange, validEndpoints } from './affinity-purge.ts'
import { ElementEdits } from './element-edits.ts'
import { arrangeSlots } from './endpoint-slots.ts'
import { frontendElements, hairpinKey, ipv4, packEndpoint, slotKey, sourceElements } from './frontend-elements.ts'
import {
  affinityName,
  balancerName,
  endpointsName,
  hairpinName,
  learnChain,
  nodeAddressesName,
  scopeOf,
  serviceTableName,
  stickyBalancerName,
} from './rule-names.ts'
import {
  affinitySets,
  balancerChain,
  learnHooks,
  learnRules,
  skeletonChains,
  skeletonSets,
  stickyBalancerChain,
} from './rule-skeleton.ts'
import type { Change } from './claims.ts'
import type { Endpoint, Frontend, ServiceTable, Target } from './service-table.ts'

export interface ServiceRulesOptions {
  /** The host's ends of pods' interfaces: a name, or a pattern such as `oci*`. */
  readonly localPods: string
}

/** What of a TableChange concerns the kernel. */
export interface RuleChange {
  readonly frontends: readonly Pick<Change<string, Frontend>, 'key' | 'after'>[]
  readonly nodePortAddresses?: readonly Ip[]
}

export interface RuleStep {
  readonly table: Table
  /** To be done when the kernel has the table. */
  readonly purges: readonly AffinityPurge[]
}

type Side = 'inside' | 'outside'
const sides: readonly Side[] = ['inside', 'outside']
/** A frontend in the table, and its endpoints by number. */
interface Placed {
  readonly frontend: Frontend
  readonly slots: Readonly<Record<Side, readonly Endpoint[]>>
}

const none: readonly never[] = []
const packAddress = packerOf(['ipv4_addr'])

/**
 * The service table as one table of nf_tables (docs/services.md has the layout). A change edits the elements of what it
 * touches; sets and chains that it does not touch are the same objects. Chains stay once they were needed: to delete one
 * costs more than all that it takes up.
 */
export class ServiceRules {
  #sets: ReadonlyMap<string, NftSet> = skeletonSets()
  #chains: ReadonlyMap<string, Chain>
  #nodePortAddresses: readonly Ip[] = none
  readonly #placed = new Map<string, Placed>()
  /** How many slots have an address. */
  readonly #uses = new Map<Ip, number>()

  constructor({ localPods }: ServiceRulesOptions) {
    this.#chains = skeletonChains(localPods)
  }

  table(): Table {
    return { family: 'ip', name: serviceTableName, sets: this.#sets, chains: this.#chains }
  }

  apply({ frontends, nodePortAddresses }: RuleChange): RuleStep {
    const edits = new ElementEdits()
    const stale: StickyChange[] = []
    if (nodePortAddresses !== undefined) this.#moveTo(nodePortAddresses, edits)
    for (const { key, after } of frontends) {
      const before = this.#placed.get(key)
      const placed = after === undefined ? undefined : place(after, before)
      if (placed === undefined) this.#placed.delete(key)
      else this.#placed.set(key, placed)
      if (after !== undefined) this.#provideFor(after)
      editFixed(edits, before?.frontend, after)
      for (const side of sides) this.#editSlots(edits, side, before, placed)
      if (before !== undefined) stale.push(...staleChoices(before, placed))
    }
    this.#sets = edits.applyTo(this.#sets)
    return { table: this.table(), purges: planPurges(stale, this.#nodePortAddresses) }
  }

  /** In no order. */
  frontends(): readonly Frontend[] {
    return [...this.#placed.values()].map(({ frontend }) => frontend)
  }

  /** For after a start: what an earlier process of ours had the kernel learn may have gone stale meanwhile. */
  purgesOfAll(): readonly AffinityPurge[] {
    const sticky = [...this.#placed.values()].filter(({ frontend }) => frontend.affinityTimeoutSeconds !== undefined)
    const all = sticky.map((placed) => ({
      frontend: placed.frontend,
      valid: validEndpoints(endpointsFor(placed, 'inside')).intersection(
        validEndpoints(endpointsFor(placed, 'outside')),
      ),
    }))
    return planPurges(all, this.#nodePortAddresses)
  }

  #moveTo(addresses: readonly Ip[], edits: ElementEdits): void {
    for (const address of this.#nodePortAddresses) edits.delete(nodeAddressesName, packAddress(ipv4(address)))
    for (const address of addresses) edits.set(nodeAddressesName, packAddress(ipv4(address)), '')
    this.#nodePortAddresses = addresses
  }

  #editSlots(edits: ElementEdits, side: Side, before: Placed | undefined, after: Placed | undefined): void {
    const old = before?.slots[side] ?? none
    const now = after?.slots[side] ?? none
    const frontend = after?.frontend ?? before?.frontend
    if (old === now || frontend === undefined) return
    const map = endpointsName(scopeOf(frontend, side), l4Of[frontend.protocol])
    for (let index = 0; index < Math.max(old.length, now.length); index++) {
      const [was, is] = [old[index], now[index]]
      if (was?.address === is?.address && was?.port === is?.port) continue
      if (was !== undefined) this.#count(edits, was.address, -1)
      if (is !== undefined) this.#count(edits, is.address, 1)
      if (is === undefined) edits.delete(map, slotKey(frontend, index))
      else edits.set(map, slotKey(frontend, index), packEndpoint(is))
    }
  }

  #count(edits: ElementEdits, address: Ip, change: 1 | -1): void {
    const before = this.#uses.get(address) ?? 0
    const after = before + change
    if (after === 0) {
      this.#uses.delete(address)
      edits.delete(hairpinName, hairpinKey(address))
      return
    }
    this.#uses.set(address, after)
    if (before === 0) edits.set(hairpinName, hairpinKey(address), '')
  }

  /** Chains and sets that its elements will point to. */
  #provideFor(frontend: Frontend): void {
    const { affinityTimeoutSeconds: seconds } = frontend
    const protocol = l4Of[frontend.protocol]
    if (seconds !== undefined && !this.#sets.has(affinityName(protocol, seconds))) {
      this.#sets = new Map([...this.#sets, ...affinitySets(protocol, seconds)])
      for (const [name, hook] of learnHooks()) if (!this.#chains.has(name)) this.#addChain(name, hook)
      const learned: readonly Rule[] = this.#chains.get(learnChain)?.rules ?? none
      this.#addChain(learnChain, { rules: [...learned, ...learnRules(protocol, seconds)] })
    }
    for (const side of sides) {
      const target = frontend[side]
      if (target.kind !== 'forward') continue
      const where = [scopeOf(frontend, side), protocol, target.endpoints.length] as const
      const name = balancerName(...where)
      if (!this.#chains.has(name)) this.#addChain(name, balancerChain(...where))
      if (seconds === undefined) continue
      const stickyName = stickyBalancerName(...where, seconds)
      if (!this.#chains.has(stickyName)) this.#addChain(stickyName, stickyBalancerChain(...where, seconds))
    }
  }

  #addChain(name: string, chain: Chain): void {
    this.#chains = new Map(this.#chains).set(name, chain)
  }
}

/** All of a table, as a change from nothing. */
export function changeFromNothing({ frontends, nodePortAddresses }: ServiceTable): RuleChange {
  return { frontends: [...frontends].map(([key, after]) => ({ key, after })), nodePortAddresses }
}

function place(frontend: Frontend, before: Placed | undefined): Placed {
  const { inside, outside } = frontend
  const arrange = (side: Side, target: Target): readonly Endpoint[] =>
    target.kind === 'forward' ? arrangeSlots(before?.slots[side] ?? none, target.endpoints) : none
  return {
    frontend,
    slots: { inside: arrange('inside', inside), outside: outside === inside ? none : arrange('outside', outside) },
  }
}

/** `before` is of the same key, so the same sources mean the same elements: thousands that no endpoint should cost. */
function editFixed(edits: ElementEdits, before: Frontend | undefined, after: Frontend | undefined): void {
  const kinds = before?.sources === after?.sources ? [frontendElements] : [frontendElements, sourceElements]
  for (const elementsOf of kinds) {
    if (before !== undefined) for (const [set, key] of elementsOf(before)) edits.delete(set, key)
    if (after !== undefined) for (const [set, key, value] of elementsOf(after)) edits.set(set, key, value)
  }
}

function staleChoices(before: Placed, after: Placed | undefined): readonly StickyChange[] {
  if (before.frontend.affinityTimeoutSeconds === undefined) return none
  const isSticky = before.frontend.affinityTimeoutSeconds === after?.frontend.affinityTimeoutSeconds
  const now = isSticky ? after : undefined
  // What a client was is not known any more: an endpoint that either side has lost is forgotten for both, or a client
  // outside would after a change of policy to Local go on being sent to another node's endpoint.
  const lost = new Set<Packed>()
  for (const side of sides) {
    const kept = validEndpoints(endpointsFor(now, side))
    for (const one of validEndpoints(endpointsFor(before, side))) if (!kept.has(one)) lost.add(one)
  }
  if (lost.size === 0) return none
  const valid = new Set(sides.flatMap((side) => [...validEndpoints(endpointsFor(now, side))]))
  return [{ frontend: before.frontend, valid: valid.difference(lost) }]
}

function endpointsFor(placed: Placed | undefined, side: Side): readonly Endpoint[] {
  if (placed === undefined) return none
  const { frontend, slots } = placed
  return frontend.outside === frontend.inside ? slots.inside : slots[side]
}
