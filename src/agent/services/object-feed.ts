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
  /** There is something to take. */
  readonly onChange: () => void
}

/** What a service proxy needs of the cluster, as changes since the last look; nothing before all of it was listed once. */
export class ObjectFeed {
  readonly #options: ObjectFeedOptions
  readonly #services: Reflector<Service>
  readonly #slices: Reflector<EndpointSlice>
  readonly #nodes: Reflector<KubeNode>
  #changedServices = new Map<string, Service | undefined>()
  #changedSlices = new Map<string, EndpointSlice | undefined>()

  constructor(options: ObjectFeedOptions) {
    this.#options = options
    this.#services = this.#reflect(services, (key, service) => this.#changedServices.set(key, service))
    this.#slices = this.#reflect(endpointSlices, (key, slice) => this.#changedSlices.set(key, slice))
    this.#nodes = this.#reflect(nodes, () => undefined, `metadata.name=${options.nodeName}`)
  }

  get isSynced(): boolean {
    return [this.#services, this.#slices, this.#nodes].every((reflector) => reflector.health().synced)
  }

  /** This node; undefined when the API server has none of its name. */
  get node(): ProxyNode | undefined {
    const node = this.#nodes.cache.get(this.#options.nodeName)
    return node === undefined ? undefined : proxyNodeOf(node, 4)
  }

  /** The last state of everything that changed since the last call. */
  take(): Pick<ObjectChanges, 'services' | 'slices'> {
    const taken = { services: this.#changedServices, slices: this.#changedSlices }
    this.#changedServices = new Map()
    this.#changedSlices = new Map()
    return taken
  }

  /** Resolves when `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const reflectors = [this.#services, this.#slices, this.#nodes]
    // An empty list changes nothing, and yet it is the last thing waited for.
    for (const reflector of reflectors) reflector.whenSynced(signal).then(this.#options.onChange, () => undefined)
    await Promise.all(reflectors.map((reflector) => reflector.run(signal)))
  }

  #reflect<T extends KubeObject>(
    resource: Resource<T>,
    note: (key: string, object: T | undefined) => void,
    fieldSelector?: string,
  ): Reflector<T> {
    const { client, scheduler, random, logger, onChange } = this.#options
    const changed = (object: T, isThere: boolean): void => {
      note(objectKey(object.metadata), isThere ? object : undefined)
      onChange()
    }
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
