import { ok, type Result, unwrap } from '../../base/result.ts'
import { silentLogger } from '../../base/logger.ts'
import type { ApiClient } from '../../kube/api-client.ts'
import type { NativePodNetwork } from '../../kube/native-pod-network.ts'
import { type NpnState, noStatus, type NpnStatus, type ReleaseState } from '../../kube/native-pod-network-status.ts'
import type { KubeNode } from '../../kube/node.ts'
import { type Pod, needsAddress } from '../../kube/pod.ts'
import { Reflector } from '../../kube/reflector.ts'
import { nativePodNetworks, nodes, pods } from '../../kube/resources.ts'
import { systemScheduler } from '../../kube/scheduler.ts'
import { clusterClient } from '../../lab/cluster/cluster-up.ts'
import { listCloud } from '../../lab/cluster/control-client.ts'
import { assignedAddresses, ownerNode } from './address-ledger.ts'

/** A cluster at one moment. */
export interface ClusterView {
  readonly atMs: number
  /** By name. */
  readonly nodes: readonly NodeView[]
  readonly pods: readonly Pod[]
  /** Addresses for pods that the cloud has assigned. */
  readonly cloudAddresses: ReadonlySet<string>
  /** Served by the cloud so far, by operation. */
  readonly calls: Readonly<Record<string, number>>
}

export interface NodeView {
  readonly name: string
  readonly taints: readonly string[]
  /** Name of its NativePodNetwork. */
  readonly network: string
  readonly state: NpnState | 'none'
  readonly vnics: number
  /** On the node and in need of an address. */
  readonly pods: number
  readonly used: number
  readonly assigned: number
  readonly wanted: number
  readonly marked: number
  readonly confirmed: number
}

/** Follows the Kubernetes API and the cloud of a lab, from one that stands. */
export class ClusterWatch implements AsyncDisposable {
  readonly client: ApiClient
  readonly #lab: string
  readonly #stopped = new AbortController()
  readonly #nodes: Reflector<KubeNode>
  readonly #pods: Reflector<Pod>
  readonly #networks: Reflector<NativePodNetwork>
  readonly #releases = new Map<string, ReleaseState[]>()
  #running: Promise<unknown> = Promise.resolve()

  private constructor(lab: string) {
    this.#lab = lab
    this.client = clusterClient(lab)
    const shared = { client: this.client, scheduler: systemScheduler, random: Math.random, logger: silentLogger }
    const look = (network: NativePodNetwork): void => this.#noteReleases(network)
    this.#nodes = new Reflector({ ...shared, resource: nodes })
    this.#pods = new Reflector({ ...shared, resource: pods })
    this.#networks = new Reflector({ ...shared, resource: nativePodNetworks, handlers: { added: look, updated: look } })
  }

  static async open(lab: string, signal: AbortSignal): Promise<ClusterWatch> {
    const watch = new ClusterWatch(lab)
    try {
      const all = [watch.#nodes, watch.#pods, watch.#networks]
      watch.#running = Promise.all(all.map((reflector) => reflector.run(watch.#stopped.signal)))
      await Promise.all(all.map((reflector) => reflector.whenSynced(signal)))
      return watch
    } catch (error) {
      await watch[Symbol.asyncDispose]()
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped.abort()
    await this.#running
    this.client.close()
  }

  /** Every state that the release of an address went through, in order, since this began to watch. */
  get releases(): ReadonlyMap<string, readonly ReleaseState[]> {
    return this.#releases
  }

  async view(signal: AbortSignal): Promise<ClusterView> {
    const listing = unwrap(await listCloud(this.#lab, signal))
    const all = [...this.#pods.cache.snapshot().objects.values()]
    const networks = [...this.#networks.cache.snapshot().objects.values()]
    const views = [...this.#nodes.cache.snapshot().objects.values()].map((node) => {
      const network = networks.find((one) => ownerNode(one) === node.metadata.name)
      return viewNode(
        node,
        network,
        all.filter((pod) => pod.nodeName === node.metadata.name && needsAddress(pod)).length,
      )
    })
    return {
      atMs: performance.now(),
      nodes: views.toSorted((a, b) => a.name.localeCompare(b.name)),
      pods: all,
      cloudAddresses: new Set(assignedAddresses(listing).map(({ address }) => address)),
      calls: listing.calls,
    }
  }

  // A reflector tells every change by itself: no state is missed, however short it lasts.
  #noteReleases({ status }: NativePodNetwork): void {
    for (const { address, state } of status.ok ? (status.value.elastic?.releases ?? []) : []) {
      const states = this.#releases.get(address) ?? []
      if (states.at(-1) !== state) this.#releases.set(address, [...states, state])
    }
  }
}

function viewNode({ metadata, taints }: KubeNode, network: NativePodNetwork | undefined, podCount: number): NodeView {
  const status = statusOf(network)
  const { releases = [], usedAddresses = 0, wantedAddresses = 0 } = status.elastic ?? {}
  const inState = (state: ReleaseState): number => releases.filter((one) => one.state === state).length
  return {
    name: metadata.name,
    taints: taints.map(({ key }) => key),
    network: network?.metadata.name ?? 'none',
    state: status.state ?? 'none',
    vnics: status.vnics.length,
    pods: podCount,
    used: usedAddresses,
    assigned: status.vnics.reduce((sum, { addresses }) => sum + addresses.length, 0),
    wanted: wantedAddresses,
    marked: inState('Marked'),
    confirmed: inState('Confirmed'),
  }
}

function statusOf(network: NativePodNetwork | undefined): NpnStatus {
  const status: Result<NpnStatus, unknown> = network?.status ?? ok(noStatus)
  return status.ok ? status.value : noStatus
}
