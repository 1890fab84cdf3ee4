import { formatFieldErrors } from '../../base/schema.ts'
import type { EndpointSlice } from '../../kube/endpoint-slice.ts'
import type { KubeNode } from '../../kube/node.ts'
import { type KubeObject, objectKey, type Resource } from '../../kube/object.ts'
import { Reflector, type ReflectorOptions } from '../../kube/reflector.ts'
import { endpointSlices, nodes, services } from '../../kube/resources.ts'
import type { Service } from '../../kube/service.ts'
import { proxyNodeOf } from '../../proxy/proxy-node.ts'
import type { ObjectChanges } from '../../proxy/service-index.ts'
import type { ProxyNode } from '../../proxy/service-table.ts'

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
  readonly #services: Reflector<Service>
  readonly #slices: Reflector<EndpointSlice>
  readonly #nodes: Reflector<KubeNode>
  #changedServices = new Map<string, Service | undefined>()
  #changedSlices = new Map<string, EndpointSlice | undefined>()
  #triggersMs: number[] = []
  readonly #startedMs: number

  constructor(options: ObjectFeedOptions) {
    this.#options = options
    this.#startedMs = options.scheduler.nowMs()
    const { onChange } = options
    this.#services = this.#reflect(services, (key, service) => {
      this.#changedServices.set(key, service)
      onChange('service')
    })
    this.#slices = this.#reflect(endpointSlices, (key, slice) => {
      this.#changedSlices.set(key, slice)
      this.#noteTrigger(slice)
      onChange('endpoint')
    })
    this.#nodes = this.#reflect(nodes, () => onChange('node'), `metadata.name=${options.nodeName}`)
  }

  get isSynced(): boolean {
    return [this.#services, this.#slices, this.#nodes].every((reflector) => reflector.health().synced)
  }

  /** This node; undefined when the API server has none of its name. */
  get node(): ProxyNode | undefined {
    const node = this.kubeNode
    return node === undefined ? undefined : proxyNodeOf(node, 4)
  }

  get kubeNode(): KubeNode | undefined {
    return this.#nodes.cache.get(this.#options.nodeName)
  }

  /** How many objects there are to take. */
  get pending(): { readonly services: number; readonly endpoints: number } {
    return { services: this.#changedServices.size, endpoints: this.#changedSlices.size }
  }

  /** Objects that do not even parse, in words. The last version of them that did goes on being used. */
  get malformed(): readonly string[] {
    return [this.#services, this.#slices, this.#nodes].flatMap((reflector) =>
      reflector
        .health()
        .malformed.map(({ key, errors }) => `${reflector.resource.kind} ${key}: ${formatFieldErrors(errors)}`),
    )
  }

  /** The last state of everything that changed since the last call. */
  take(): TakenObjects {
    const taken = { services: this.#changedServices, slices: this.#changedSlices, triggersMs: this.#triggersMs }
    this.#triggersMs = []
    this.#changedServices = new Map()
    this.#changedSlices = new Map()
    return taken
  }

  /** Resolves when `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const reflectors = [this.#services, this.#slices, this.#nodes]
    // An empty list changes nothing, and yet it is the last thing waited for.
    for (const reflector of reflectors) {
      reflector.whenSynced(signal).then(
        () => this.#options.onChange('list'),
        () => undefined,
      )
    }
    await Promise.all(reflectors.map((reflector) => reflector.run(signal)))
  }

  // What happened before this proxy was there took no time of its.
  #noteTrigger(slice: EndpointSlice | undefined): void {
    const triggerMs = Date.parse(slice?.metadata.annotations[triggerAnnotation] ?? '')
    if (triggerMs > this.#startedMs) this.#triggersMs.push(triggerMs)
  }

  #reflect<T extends KubeObject>(
    resource: Resource<T>,
    note: (key: string, object: T | undefined) => void,
    fieldSelector?: string,
  ): Reflector<T> {
    const { client, scheduler, random, logger } = this.#options
    const changed = (object: T, isThere: boolean): void =>
      note(objectKey(object.metadata), isThere ? object : undefined)
    return new Reflector({
      client,
      resource,
      handlers: {
        added: (object) => changed(object, true),
        updated: (object) => changed(object, true),
        deleted: (object) => changed(object, false),
      },
      ...(fieldSelector !== undefined && { fieldSelector }),
      scheduler,
      random,
      logger,
    })
  }
}
