import type { KubeObject } from './objects.ts'
import { crdStorage, resourcesOfCrd } from './custom-resources.ts'
import { coreResources, type Resource } from './resources.ts'
import type { Store } from './store.ts'

/** The kinds that are served: the built-in ones and those of the CRDs in the store. */
export class ResourceRegistry {
  readonly #store: Store
  readonly #derived = new WeakMap<KubeObject, readonly Resource[]>()

  constructor(store: Store) {
    this.#store = store
  }

  all(): readonly Resource[] {
    return [...coreResources, ...this.#store.list(crdStorage).flatMap((crd) => this.#resourcesOf(crd))]
  }

  find(group: string, version: string, plural: string): Resource | undefined {
    return this.all().find((r) => r.group === group && r.version === version && r.plural === plural)
  }

  /** By the names that an owner reference holds. */
  findKind(apiVersion: string, kind: string): Resource | undefined {
    const slash = apiVersion.indexOf('/')
    const group = slash === -1 ? '' : apiVersion.slice(0, slash)
    const candidates = this.all().filter((resource) => resource.group === group && resource.kind === kind)
    return candidates.find(({ version }) => version === apiVersion.slice(slash + 1)) ?? candidates[0]
  }

  // Stored objects never change: a CRD's kinds are compiled once a version of it.
  #resourcesOf(crd: KubeObject): readonly Resource[] {
    const known = this.#derived.get(crd)
    if (known !== undefined) return known
    const derived = resourcesOfCrd(crd)
    this.#derived.set(crd, derived)
    return derived
  }
}
