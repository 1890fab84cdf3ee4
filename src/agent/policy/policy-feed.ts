import type { ClusterNetworkPolicy } from '../../kube/cluster-network-policy.ts'
import type { Namespace } from '../../kube/namespace.ts'
import type { NetworkPolicy } from '../../kube/network-policy.ts'
import type { KubeObject } from '../../kube/object.ts'
import { withOptionalResource } from '../../kube/optional-resource.ts'
import type { PolicyPod } from '../../kube/policy-pod.ts'
import { clusterNetworkPolicies, namespaces, networkPolicies, policyPods } from '../../kube/policy-resources.ts'
import type { ReflectorOptions } from '../../kube/reflector.ts'
import type { PolicyObjectChanges } from '../../policy/policy-index.ts'
import { ChangedObjects } from '../kube/changed-objects.ts'
import { StaleResources } from './stale-resources.ts'

export interface PolicyFeedOptions extends Pick<
  ReflectorOptions<KubeObject>,
  'client' | 'scheduler' | 'random' | 'logger'
> {
  /** There is something to take, or everything is there now. */
  readonly onChange: () => void
}

/** How soon a node notices that ClusterNetworkPolicies were installed. */
const installedWithinMs = 30_000

/** What network policy needs of the cluster, as changes since the last look: pods of all nodes, namespaces, policies. */
export class PolicyFeed {
  /** What was listed once and is not heard of any more. */
  readonly stale: StaleResources
  readonly #options: PolicyFeedOptions
  readonly #pods: ChangedObjects<PolicyPod>
  readonly #namespaces: ChangedObjects<Namespace>
  readonly #networkPolicies: ChangedObjects<NetworkPolicy>
  readonly #clusterNetworkPolicies: ChangedObjects<ClusterNetworkPolicy>

  constructor(options: PolicyFeedOptions) {
    this.#options = options
    const { client, scheduler, random, logger, onChange } = options
    const common = { client, scheduler, random, logger, onChange }
    this.#pods = new ChangedObjects({ ...common, resource: policyPods })
    this.#namespaces = new ChangedObjects({ ...common, resource: namespaces })
    this.#networkPolicies = new ChangedObjects({ ...common, resource: networkPolicies })
    this.#clusterNetworkPolicies = new ChangedObjects({
      ...common,
      client: withOptionalResource(client, installedWithinMs, scheduler),
      resource: clusterNetworkPolicies,
    })
    const rules = [this.#networkPolicies, this.#clusterNetworkPolicies, this.#namespaces]
    this.stale = new StaleResources({ pods: this.#pods, rules, scheduler, logger })
  }

  /** Every list has been there once. */
  get isSynced(): boolean {
    return this.#all().every(({ isSynced }) => isSynced)
  }

  /** What was not listed yet, and why. */
  get missing(): readonly string[] {
    return this.#all().flatMap(({ missing }) => missing ?? [])
  }

  get pending(): number {
    return this.#all().reduce((sum, { pending }) => sum + pending, 0)
  }

  /** Objects that do not even parse, in words. The last version of them that did goes on being used. */
  get malformed(): readonly string[] {
    return this.#all().flatMap(({ malformed }) => malformed)
  }

  /** Of the whole cluster. */
  pods(): Iterable<PolicyPod> {
    return this.#pods.all()
  }

  /** The last state of everything that changed since the last call. */
  take(): Required<PolicyObjectChanges> {
    return {
      pods: this.#pods.take(),
      namespaces: this.#namespaces.take(),
      networkPolicies: this.#networkPolicies.take(),
      clusterNetworkPolicies: this.#clusterNetworkPolicies.take(),
    }
  }

  /** Resolves when `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    // An empty list changes nothing, and yet it may be the last thing waited for.
    for (const resource of this.#all()) {
      resource.whenSynced(signal).then(this.#options.onChange, () => undefined)
    }
    await Promise.all(this.#all().map((resource) => resource.run(signal)))
  }

  #all(): readonly Pick<
    ChangedObjects<KubeObject>,
    'isSynced' | 'missing' | 'pending' | 'malformed' | 'whenSynced' | 'run'
  >[] {
    return [this.#pods, this.#namespaces, this.#networkPolicies, this.#clusterNetworkPolicies]
  }
}
