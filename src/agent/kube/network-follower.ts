import type { Logger } from '../../base/logger.ts'
import type { ApiClient } from '../../kube/api-client.ts'
import type { NativePodNetwork } from '../../kube/native-pod-network.ts'
import type { KubeNode } from '../../kube/node.ts'
import { Reflector } from '../../kube/reflector.ts'
import type { ReflectorHealth } from '../../kube/reflector-health.ts'
import { nativePodNetworks, nodes } from '../../kube/resources.ts'
import type { Random, Scheduler } from '../../kube/scheduler.ts'
import { parseInstanceOcid, uniquePart } from '../../oci/ocid.ts'

export interface FollowerOptions {
  readonly client: Pick<ApiClient, 'list' | 'watch'>
  readonly nodeName: string
  readonly scheduler: Scheduler
  readonly random: Random
  readonly logger: Logger
  /** The Node is there, in a new version. */
  readonly onNode: () => void
  /** The NativePodNetwork is there, in a new version. */
  readonly onNetwork: (network: NativePodNetwork) => void
  readonly onNetworkDeleted: (name: string) => void
}

export interface FollowerHealth {
  readonly node: ReflectorHealth
  /** Absent until the Node says which instance it is. */
  readonly network?: ReflectorHealth
}

interface FollowedNetwork {
  readonly name: string
  readonly reflector: Reflector<NativePodNetwork>
  readonly stop: AbortController
  readonly running: Promise<void>
}

/**
 * Watches this node's Node, and by its providerID the one NativePodNetwork that is this node's. Either may come late, or
 * go and come again.
 */
export class NetworkFollower {
  readonly #options: FollowerOptions
  readonly #nodes: Reflector<KubeNode>
  #network: FollowedNetwork | undefined
  #problem: string | undefined

  constructor(options: FollowerOptions) {
    const { client, nodeName, scheduler, random, logger } = options
    this.#options = options
    this.#nodes = new Reflector({
      client,
      resource: nodes,
      fieldSelector: `metadata.name=${nodeName}`,
      handlers: { added: (node) => this.#see(node), updated: (node) => this.#see(node) },
      scheduler,
      random,
      logger,
    })
  }

  /** As last seen; undefined when it is not there (any more). */
  get node(): KubeNode | undefined {
    return this.#nodes.cache.get(this.#options.nodeName)
  }

  get network(): NativePodNetwork | undefined {
    return this.#network?.reflector.cache.get(this.#network.name)
  }

  get networkName(): string | undefined {
    return this.#network?.name
  }

  /** Why it is not known which NativePodNetwork is this node's. */
  get problem(): string | undefined {
    const { nodeName } = this.#options
    if (this.#network !== undefined) return undefined
    if (!this.#nodes.health().synced) return 'the API server has not answered yet'
    if (this.node === undefined) return `there is no Node ${nodeName} yet`
    return this.#problem ?? `Node ${nodeName} has no providerID yet`
  }

  health(): FollowerHealth {
    const network = this.#network?.reflector.health()
    return { node: this.#nodes.health(), ...(network !== undefined && { network }) }
  }

  /** Resolves when the API server has said all it knows about this node; rejected when `signal` aborts. */
  async whenSettled(signal: AbortSignal): Promise<void> {
    await this.#nodes.whenSynced(signal)
    await this.#network?.reflector.whenSynced(signal)
  }

  /** Resolves when `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#nodes.run(signal)
    this.#network?.stop.abort()
    await this.#network?.running
  }

  #see({ providerId }: KubeNode): void {
    const { onNode, nodeName, logger } = this.#options
    if (providerId !== undefined) {
      // Some cloud controllers write the provider before it (node.ts).
      const instance = parseInstanceOcid(providerId.replace(/^oci:\/\//, ''))
      if (instance.ok) this.#follow(uniquePart(instance.value))
      else {
        this.#problem = `Node ${nodeName}: spec.providerID: ${instance.error}`
        logger.error('kube.node.notOurs', { problem: this.#problem })
      }
    }
    onNode()
  }

  #follow(name: string): void {
    if (this.#network?.name === name) return
    const { client, scheduler, random, logger, onNetwork, onNetworkDeleted } = this.#options
    this.#network?.stop.abort()
    const stop = new AbortController()
    const reflector = new Reflector({
      client,
      resource: nativePodNetworks,
      fieldSelector: `metadata.name=${name}`,
      handlers: {
        added: onNetwork,
        updated: onNetwork,
        deleted: () => {
          onNetworkDeleted(name)
        },
      },
      scheduler,
      random,
      logger,
    })
    logger.info('kube.network.followed', { name })
    this.#network = { name, reflector, stop, running: reflector.run(stop.signal) }
  }
}
