import type { EndpointSlice } from '../../kube/endpoint-slice.ts'
import type { KubeNode } from '../../kube/node.ts'
import type { KubeObject } from '../../kube/object.ts'
import type { ReflectorOptions } from '../../kube/reflector.ts'
import { endpointSlices, nodes, services } from '../../kube/resources.ts'
import type { Service } from '../../kube/service.ts'
import { proxyNodeOf } from '../../proxy/proxy-node.ts'
import type { ObjectChanges } from '../../proxy/service-index.ts'
import type { ProxyNode } from '../../proxy/service-table.ts'
import { ChangedObjects } from '../kube/changed-objects.ts'

export interface ObjectFeedOptions extends Pick<
  ReflectorOptions<KubeObject>,
  'client' | 'scheduler' | 'random' | 'logger'
> {
  readonly nodeName: string
  /** There is something to take; or, for `list`, everything is there now. */
  readonly onChange: (what: 'service' | 'endpoint' | 'node' | 'list') => void
}

export interface TakenObjects extends Pick<ObjectChanges, 'services' | 'slices'> {
  /** When what led to the slices' changes happened, by the clock of their controller. */
  readonly triggersMs: readonly number[]
}

/** The endpoints controller's word for when what led to a slice's change happened (k8s.io/api/core/v1). */
const triggerAnnotation = 'endpoints.kubernetes.io/last-change-trigger-time'

/** What a service proxy needs of the cluster, as changes since the last look; nothing before all of it was listed once. */
export class ObjectFeed {
  readonly #options: ObjectFeedOptions
  readonly #services: ChangedObjects<Service>
  readonly #slices: ChangedObjects<EndpointSlice>
  readonly #nodes: ChangedObjects<KubeNode>
  #triggersMs: number[] = []
  readonly #startedMs: number

  constructor(options: ObjectFeedOptions) {
    this.#options = options
    this.#startedMs = options.scheduler.nowMs()
    const { client, scheduler, random, logger, nodeName, onChange } = options
    const common = { client, scheduler, random, logger }
    this.#services = new ChangedObjects({ ...common, resource: services, onChange: () => onChange('service') })
    this.#slices = new ChangedObjects({
      ...common,
      resource: endpointSlices,
      onChange: (slice) => {
        this.#noteTrigger(slice)
        onChange('endpoint')
      },
    })
    const fieldSelector = `metadata.name=${nodeName}`
    this.#nodes = new ChangedObjects({ ...common, resource: nodes, fieldSelector, onChange: () => onChange('node') })
  }

  get isSynced(): boolean {
    return [this.#services, this.#slices, this.#nodes].every(({ isSynced }) => isSynced)
  }

  /** This node; undefined when the API server has none of its name. */
  get node(): ProxyNode | undefined {
    const node = this.kubeNode
    return node === undefined ? undefined : proxyNodeOf(node, 4)
  }

  get kubeNode(): KubeNode | undefined {
    return this.#nodes.get(this.#options.nodeName)
  }

  /** How many objects there are to take. */
  get pending(): { readonly services: number; readonly endpoints: number } {
    return { services: this.#services.pending, endpoints: this.#slices.pending }
  }

  /** Objects that do not even parse, in words. The last version of them that did goes on being used. */
  get malformed(): readonly string[] {
    return [this.#services, this.#slices, this.#nodes].flatMap(({ malformed }) => malformed)
  }

  /** The last state of everything that changed since the last call. */
  take(): TakenObjects {
    const triggersMs = this.#triggersMs
    this.#triggersMs = []
    return { services: this.#services.take(), slices: this.#slices.take(), triggersMs }
  }

  /** Resolves when `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const resources = [this.#services, this.#slices, this.#nodes]
    // An empty list changes nothing, and yet it is the last thing waited for.
    for (const resource of resources) {
      resource.whenSynced(signal).then(
        () => this.#options.onChange('list'),
        () => undefined,
      )
    }
    await Promise.all(resources.map((resource) => resource.run(signal)))
  }

  // What happened before this proxy was there took no time of its.
  #noteTrigger(slice: EndpointSlice | undefined): void {
    const triggerMs = Date.parse(slice?.metadata.annotations[triggerAnnotation] ?? '')
    if (triggerMs > this.#startedMs) this.#triggersMs.push(triggerMs)
  }
}
