import { type Labels, selectorMatches } from '../kube/label-selector.ts'
import { type NamespaceScope, type PodSelection, selectionText } from './pod-selection.ts'
import { SelectorIndex } from './selector-index.ts'

export interface GroupedPod<T> {
  readonly namespace: string
  readonly labels: Labels
  /** What the owner of the groups wants to know of it; compared by identity. */
  readonly value: T
}

/** A pod came (no `before`), went (no `after`), or has become another `value`. */
export type MemberChange<T> = (group: string, pod: string, before: T | undefined, after: T | undefined) => void

interface PodEntry<T> {
  readonly key: string
  readonly namespace: NamespaceEntry<T>
  labels: Labels
  value: T
  readonly groups: Set<Group<T>>
}
interface Group<T> {
  readonly key: string
  readonly selection: PodSelection
  readonly home: Home<T>
  readonly members: Set<PodEntry<T>>
  users: number
}
/** Where groups with the same scope are found by the labels of pods. */
interface Home<T> {
  readonly index: SelectorIndex<Group<T>>
  /** With those that are not in the index yet. */
  groupCount: number
  readonly scope: NamespaceScope
  readonly namespaces: Set<NamespaceEntry<T>>
}
interface NamespaceEntry<T> {
  readonly name: string
  labels: Labels
  isKnown: boolean
  readonly pods: Set<PodEntry<T>>
  readonly homes: Set<Home<T>>
}

const noLabels: Labels = new Map()

/**
 * Which pods are in which selections, as pods, labels and selections come and go. A pod is compared only with selectors that
 * may match it, and a namespace's labels with those of namespaces.
 */
export class PodGroups<T> {
  readonly #onMember: MemberChange<T>
  readonly #pods = new Map<string, PodEntry<T>>()
  readonly #namespaces = new Map<string, NamespaceEntry<T>>()
  readonly #groups = new Map<string, Group<T>>()
  readonly #homes = new Map<string, Home<T>>()
  readonly #homesBySelector = new SelectorIndex<Home<T>>()
  /** Made since the last settling: their members are looked for together. */
  readonly #fresh = new Set<Group<T>>()

  constructor(onMember: MemberChange<T>) {
    this.#onMember = onMember
  }

  /** Its key. Members are told of by the next `settle` when it is new. As often released as acquired, it is gone. */
  acquire(selection: PodSelection): string {
    const key = selectionText(selection)
    const known = this.#groups.get(key)
    if (known !== undefined) {
      known.users++
      return key
    }
    const group = {
      key,
      selection,
      home: this.#homeOf(selection.namespaces),
      members: new Set<PodEntry<T>>(),
      users: 1,
    }
    group.home.groupCount++
    this.#groups.set(key, group)
    this.#fresh.add(group)
    return key
  }

  /** Whoever lets the last one go knows that its members are gone: nothing is told. */
  release(key: string): void {
    const group = this.#groups.get(key)
    if (group === undefined || --group.users > 0) return
    this.#groups.delete(key)
    for (const pod of group.members) pod.groups.delete(group)
    if (!this.#fresh.delete(group)) group.home.index.delete(group)
    if (--group.home.groupCount === 0) this.#dropHome(group.home)
  }

  /** Without labels: it is not known, or gone. Only selections in a namespace by name have its pods then. */
  putNamespace(name: string, labels: Labels | undefined): void {
    const namespace = this.#namespace(name)
    namespace.isKnown = labels !== undefined
    namespace.labels = labels ?? noLabels
    const homes = this.#matchingHomes(namespace)
    for (const home of [...namespace.homes].filter((one) => !homes.has(one))) {
      namespace.homes.delete(home)
      home.namespaces.delete(namespace)
      for (const pod of namespace.pods) for (const group of pod.groups) if (group.home === home) this.#leave(group, pod)
    }
    for (const home of [...homes].filter((one) => !namespace.homes.has(one))) {
      connect(home, namespace)
      for (const pod of namespace.pods) home.index.match(pod.labels, (group) => this.#join(group, pod))
    }
    this.#dropIfEmpty(namespace)
  }

  putPod(key: string, pod: GroupedPod<T> | undefined): void {
    const known = this.#pods.get(key)
    if (pod === undefined) {
      if (known !== undefined) this.#removePod(known)
    } else if (known === undefined) this.#addPod(key, pod)
    else if (known.namespace.name === pod.namespace) this.#changePod(known, pod)
    else throw new Error(`pod ${key} cannot move to namespace ${pod.namespace}`)
  }

  /** Finds the members of what was acquired since the last call. */
  settle(): void {
    const byHome = new Map<Home<T>, SelectorIndex<Group<T>>>()
    for (const group of this.#fresh) {
      const index = byHome.get(group.home) ?? new SelectorIndex<Group<T>>()
      byHome.set(group.home, index)
      index.add(group, group.selection.pods)
    }
    for (const [home, index] of byHome) {
      for (const namespace of home.namespaces)
        for (const pod of namespace.pods) index.match(pod.labels, (group) => this.#join(group, pod))
      for (const group of index.items()) home.index.add(group, group.selection.pods)
    }
    this.#fresh.clear()
  }

  podsOf(namespace: string): readonly string[] {
    return [...(this.#namespaces.get(namespace)?.pods ?? [])].map(({ key }) => key)
  }

  groupsOf(pod: string): readonly string[] {
    return [...(this.#pods.get(pod)?.groups ?? [])].map(({ key }) => key)
  }

  *members(group: string): Generator<readonly [pod: string, value: T]> {
    for (const { key, value } of this.#groups.get(group)?.members ?? []) yield [key, value]
  }

  #addPod(key: string, { namespace: name, labels, value }: GroupedPod<T>): void {
    const namespace = this.#namespace(name)
    const pod = { key, namespace, labels, value, groups: new Set<Group<T>>() }
    this.#pods.set(key, pod)
    namespace.pods.add(pod)
    this.#match(pod, (group) => this.#join(group, pod))
  }

  #removePod(pod: PodEntry<T>): void {
    for (const group of pod.groups) this.#leave(group, pod)
    this.#pods.delete(pod.key)
    pod.namespace.pods.delete(pod)
    this.#dropIfEmpty(pod.namespace)
  }

  #changePod(pod: PodEntry<T>, { labels, value }: GroupedPod<T>): void {
    const previous = pod.value
    const groups = new Set<Group<T>>()
    if (labels === pod.labels) for (const group of pod.groups) groups.add(group)
    else {
      pod.labels = labels
      this.#match(pod, (group) => groups.add(group))
      for (const group of [...pod.groups].filter((one) => !groups.has(one))) this.#leave(group, pod)
    }
    pod.value = value
    if (value !== previous) for (const group of pod.groups) this.#onMember(group.key, pod.key, previous, value)
    for (const group of groups) this.#join(group, pod)
  }

  #match(pod: PodEntry<T>, found: (group: Group<T>) => void): void {
    for (const home of pod.namespace.homes) home.index.match(pod.labels, found)
  }

  #join(group: Group<T>, pod: PodEntry<T>): void {
    if (group.members.has(pod)) return
    group.members.add(pod)
    pod.groups.add(group)
    this.#onMember(group.key, pod.key, undefined, pod.value)
  }

  #leave(group: Group<T>, pod: PodEntry<T>): void {
    group.members.delete(pod)
    pod.groups.delete(group)
    this.#onMember(group.key, pod.key, pod.value, undefined)
  }

  #homeOf(scope: NamespaceScope): Home<T> {
    const key = homeKey(scope)
    const known = this.#homes.get(key)
    if (known !== undefined) return known
    const home = {
      index: new SelectorIndex<Group<T>>(),
      groupCount: 0,
      scope,
      namespaces: new Set<NamespaceEntry<T>>(),
    }
    this.#homes.set(key, home)
    if (scope.kind === 'one') connect(home, this.#namespace(scope.name))
    else {
      this.#homesBySelector.add(home, scope.selector)
      for (const namespace of this.#namespaces.values())
        if (namespace.isKnown && selectorMatches(scope.selector, namespace.labels)) connect(home, namespace)
    }
    return home
  }

  #dropHome(home: Home<T>): void {
    this.#homes.delete(homeKey(home.scope))
    this.#homesBySelector.delete(home)
    for (const namespace of home.namespaces) {
      namespace.homes.delete(home)
      this.#dropIfEmpty(namespace)
    }
  }

  #namespace(name: string): NamespaceEntry<T> {
    const known = this.#namespaces.get(name)
    if (known !== undefined) return known
    const namespace: NamespaceEntry<T> = { name, labels: noLabels, isKnown: false, pods: new Set(), homes: new Set() }
    this.#namespaces.set(name, namespace)
    for (const home of this.#matchingHomes(namespace)) connect(home, namespace)
    return namespace
  }

  #matchingHomes(namespace: NamespaceEntry<T>): ReadonlySet<Home<T>> {
    const homes = new Set<Home<T>>()
    // Not even «every namespace» has one whose labels are to come: they may say otherwise.
    if (namespace.isKnown) this.#homesBySelector.match(namespace.labels, (home) => homes.add(home))
    const own = this.#homes.get(homeKey({ kind: 'one', name: namespace.name }))
    return own === undefined ? homes : homes.add(own)
  }

  #dropIfEmpty(namespace: NamespaceEntry<T>): void {
    if (namespace.isKnown || namespace.pods.size > 0) return
    if (this.#homes.has(homeKey({ kind: 'one', name: namespace.name }))) return
    this.#namespaces.delete(namespace.name)
    for (const home of namespace.homes) home.namespaces.delete(namespace)
  }
}

function connect<T>(home: Home<T>, namespace: NamespaceEntry<T>): void {
  home.namespaces.add(namespace)
  namespace.homes.add(home)
}

function homeKey(scope: NamespaceScope): string {
  return scope.kind === 'one' ? `one ${scope.name}` : `matching ${scope.selector.text}`
}
