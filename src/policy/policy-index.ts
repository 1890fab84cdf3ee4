import { isDeepStrictEqual } from 'node:util'
import { isIpv4 } from '../base/ip.ts'
import type { FieldError } from '../base/schema.ts'
import type { ClusterNetworkPolicy } from '../kube/cluster-network-policy.ts'
import { type Labels, labelsOf } from '../kube/label-selector.ts'
import type { Namespace } from '../kube/namespace.ts'
import type { NetworkPolicy } from '../kube/network-policy.ts'
import { isTerminal } from '../kube/pod.ts'
import type { NamedPort, PolicyPod } from '../kube/policy-pod.ts'
import { DirectionStore } from './direction-store.ts'
import { type PeerPod, PeerSets } from './peer-sets.ts'
import { PodGroups } from './pod-groups.ts'
import type { Change, PeerSet, PodPolicy, PolicyName, PolicyTable } from './policy-table.ts'
import { type PolicyUnit, unitOfClusterNetworkPolicy, unitOfNetworkPolicy, unitText } from './policy-unit.ts'
import { inOrder } from './unit-order.ts'

/** Objects that were made, changed or deleted (undefined), by `objectKey`. */
export interface PolicyObjectChanges {
  readonly pods?: ReadonlyMap<string, PolicyPod | undefined>
  readonly namespaces?: ReadonlyMap<string, Namespace | undefined>
  readonly networkPolicies?: ReadonlyMap<string, NetworkPolicy | undefined>
  readonly clusterNetworkPolicies?: ReadonlyMap<string, ClusterNetworkPolicy | undefined>
}

/** What became different, in no order. */
export interface PolicyTableChange {
  readonly pods: readonly Change<PodPolicy>[]
  readonly peerSets: readonly Change<PeerSet>[]
  /** By `kind key` of the policy: everything that is wrong with it now. */
  readonly problems: readonly Change<readonly FieldError[]>[]
}

interface KnownPod {
  readonly labels: Labels
  readonly namespace: string
  readonly peer: PeerPod | undefined
  /** Of a pod of this node. */
  readonly ownPorts: readonly NamedPort[] | undefined
}

/**
 * The PolicyTable of a node as objects come and go. A change costs what it touches: only policies that select a pod of this
 * node have their peers followed, and a pod is only compared with selectors that may match it.
 */
export class PolicyIndex {
  readonly #node: string
  readonly #known = new Map<string, KnownPod>()
  readonly #namespaceLabels = new Map<string, Labels>()
  readonly #units = new Map<string, { readonly unit: PolicyUnit; readonly text: string; readonly group?: string }>()
  readonly #unitsOfGroup = new Map<string, Set<PolicyUnit>>()
  readonly #problems = new Map<string, readonly FieldError[]>()
  readonly #peers = new PeerSets()
  readonly #directions = new DirectionStore(this.#peers)
  readonly #dirty = new Set<string>()
  readonly #subjects = new PodGroups<readonly NamedPort[]>((_group, pod) => this.#dirty.add(pod))
  readonly #pods = new Map<string, PodPolicy>()

  constructor(node: string) {
    this.#node = node
  }

  apply({ pods, namespaces, networkPolicies, clusterNetworkPolicies }: PolicyObjectChanges): PolicyTableChange {
    const problems: Change<readonly FieldError[]>[] = []
    for (const [name, namespace] of namespaces ?? []) this.#putNamespace(name, namespace)
    for (const [key, policy] of networkPolicies ?? []) {
      const name = { kind: 'NetworkPolicy', key } as const
      this.#putUnit(name, policy && unitOfNetworkPolicy(policy), policy?.problems ?? [], problems)
    }
    for (const [key, policy] of clusterNetworkPolicies ?? []) {
      const name = { kind: 'ClusterNetworkPolicy', key } as const
      this.#putUnit(name, policy && unitOfClusterNetworkPolicy(policy), policy?.problems ?? [], problems)
    }
    for (const [key, pod] of pods ?? []) this.#putPod(key, pod)
    this.#subjects.settle()
    const changedPods = this.#recompose()
    return { pods: changedPods, peerSets: this.#peers.takeChange(), problems }
  }

  /** The whole table: copies its maps, so not for every change. */
  table(): PolicyTable {
    return { node: this.#node, pods: new Map(this.#pods), peerSets: this.#peers.all() }
  }

  pod(key: string): PodPolicy | undefined {
    return this.#pods.get(key)
  }

  /** `selected`: pods of this node that a policy of any kind is about. */
  totals(): { readonly pods: number; readonly selected: number; readonly policies: number } {
    const selected = [...this.#pods.keys()].filter((key) => this.#subjects.groupsOf(key).length > 0)
    return { pods: this.#pods.size, selected: selected.length, policies: this.#units.size }
  }

  problems(): ReadonlyMap<string, readonly FieldError[]> {
    return new Map(this.#problems)
  }

  #putNamespace(name: string, namespace: Namespace | undefined): void {
    const before = this.#namespaceLabels.get(name)
    const labels = namespace === undefined ? undefined : keepLabels(before, namespace.metadata.labels)
    if (labels === before) return
    if (labels === undefined) this.#namespaceLabels.delete(name)
    else this.#namespaceLabels.set(name, labels)
    this.#subjects.putNamespace(name, labels)
    this.#peers.putNamespace(name, labels)
    if ((labels === undefined) !== (before === undefined))
      for (const pod of this.#subjects.podsOf(name)) this.#dirty.add(pod)
  }

  #putUnit(
    name: PolicyName,
    unit: PolicyUnit | undefined,
    problems: readonly FieldError[],
    changes: Change<readonly FieldError[]>[],
  ): void {
    const key = `${name.kind} ${name.key}`
    const before = this.#problems.get(key) ?? []
    if (!isDeepStrictEqual(before, problems)) changes.push({ key, before, after: problems })
    if (problems.length === 0) this.#problems.delete(key)
    else this.#problems.set(key, problems)
    const known = this.#units.get(key)
    const text = unit === undefined ? undefined : unitText(unit)
    if (known?.text === text) return
    const group = unit?.subject === undefined ? undefined : this.#subjects.acquire(unit.subject)
    if (known?.group !== undefined) this.#dropUnit(known.unit, known.group)
    if (unit === undefined || text === undefined) {
      this.#units.delete(key)
      return
    }
    this.#units.set(key, { unit, text, ...(group !== undefined && { group }) })
    if (group === undefined) return
    const units = this.#unitsOfGroup.get(group)
    if (units === undefined) this.#unitsOfGroup.set(group, new Set([unit]))
    else units.add(unit)
    this.#markMembers(group)
  }

  #dropUnit(unit: PolicyUnit, group: string): void {
    this.#markMembers(group)
    this.#subjects.release(group)
    const units = this.#unitsOfGroup.get(group)
    units?.delete(unit)
    if (units?.size === 0) this.#unitsOfGroup.delete(group)
  }

  #markMembers(group: string): void {
    for (const [pod] of this.#subjects.members(group)) this.#dirty.add(pod)
  }

  #putPod(key: string, pod: PolicyPod | undefined): void {
    const before = this.#known.get(key)
    const known = pod === undefined ? undefined : this.#factsOf(pod, before)
    if (known === undefined) this.#known.delete(key)
    else this.#known.set(key, known)
    const { namespace, labels } = known ?? before ?? { namespace: '', labels: new Map<string, string>() }
    this.#peers.putPod(key, namespace, labels, known?.peer)
    const ownPorts = known?.ownPorts
    this.#subjects.putPod(key, ownPorts === undefined ? undefined : { namespace, labels, value: ownPorts })
    if ((ownPorts === undefined) !== (before?.ownPorts === undefined)) this.#dirty.add(key)
  }

  /** Parts that did not change are the same objects as before: most updates of pods are about something else. */
  #factsOf(pod: PolicyPod, before: KnownPod | undefined): KnownPod {
    const { hostNetwork, nodeName, namedPorts } = pod
    const addresses = hostNetwork || isTerminal(pod) ? [] : pod.addresses.filter(isIpv4)
    const peer = addresses.length === 0 ? undefined : { addresses, namedPorts }
    // A finished pod keeps its isolation as long as it is there: its interface may be.
    const ownPorts = hostNetwork || nodeName !== this.#node ? undefined : namedPorts
    return {
      namespace: pod.metadata.namespace,
      labels: keepLabels(before?.labels, pod.metadata.labels),
      peer: keepIfEqual(before?.peer, peer),
      ownPorts: keepIfEqual(before?.ownPorts, ownPorts),
    }
  }

  #recompose(): readonly Change<PodPolicy>[] {
    const unitsByGroups = new Map<string, readonly PolicyUnit[]>()
    const changes: Change<PodPolicy>[] = []
    for (const key of this.#dirty) {
      const before = this.#pods.get(key)
      const after = this.#compose(key, unitsByGroups, before)
      if (after === undefined) this.#pods.delete(key)
      else this.#pods.set(key, after)
      if (after !== before) changes.push({ key, before, after })
    }
    this.#dirty.clear()
    return changes
  }

  #compose(
    key: string,
    unitsByGroups: Map<string, readonly PolicyUnit[]>,
    before: PodPolicy | undefined,
  ): PodPolicy | undefined {
    const pod = this.#known.get(key)
    // Before the labels of its namespace are known, nobody can tell which policies are for it.
    const ports = pod !== undefined && this.#namespaceLabels.has(pod.namespace) ? pod.ownPorts : undefined
    const groups = this.#subjects.groupsOf(key)
    const groupsKey = groups.join('\n')
    const units = unitsByGroups.get(groupsKey) ?? inOrder(groups.flatMap((group) => this.#unitsOf(group)))
    unitsByGroups.set(groupsKey, units)
    const after = ports && {
      key,
      ingress: this.#directions.acquire('ingress', units, ports),
      egress: this.#directions.acquire('egress', units, ports),
    }
    // Only now, so that what both have is not made twice.
    if (before !== undefined) {
      this.#directions.release(before.ingress)
      this.#directions.release(before.egress)
    }
    return after?.ingress === before?.ingress && after?.egress === before?.egress ? before : after
  }

  #unitsOf(group: string): readonly PolicyUnit[] {
    return [...(this.#unitsOfGroup.get(group) ?? [])]
  }
}

function keepLabels(before: Labels | undefined, labels: Readonly<Record<string, string>>): Labels {
  const after = labelsOf(labels)
  if (before?.size !== after.size) return after
  for (const [key, value] of after) if (before.get(key) !== value) return after
  return before
}

function keepIfEqual<T>(before: T, after: T): T {
  return isDeepStrictEqual(before, after) ? before : after
}
