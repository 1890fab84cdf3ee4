import type { ApiClient, ObjectList } from '../../kube/api-client.ts'
import { formatApiError } from '../../kube/api-error.ts'
import type { ClusterNetworkPolicy } from '../../kube/cluster-network-policy.ts'
import type { Namespace } from '../../kube/namespace.ts'
import type { NetworkPolicy } from '../../kube/network-policy.ts'
import type { KubeNode } from '../../kube/node.ts'
import { type KubeObject, objectKey, type Resource } from '../../kube/object.ts'
import type { PolicyPod } from '../../kube/policy-pod.ts'
import { clusterNetworkPolicies, namespaces, networkPolicies, policyPods } from '../../kube/policy-resources.ts'
import { nodes, services } from '../../kube/resources.ts'
import type { Service } from '../../kube/service.ts'
import { formatFieldErrors } from '../../base/schema.ts'
import { CliError } from '../cli-error.ts'

/** What decides about flows in a cluster, as its API server tells it now; by `objectKey`. */
export interface PolicyObjects {
  readonly pods: ReadonlyMap<string, PolicyPod>
  readonly namespaces: ReadonlyMap<string, Namespace>
  readonly networkPolicies: ReadonlyMap<string, NetworkPolicy>
  readonly clusterNetworkPolicies: ReadonlyMap<string, ClusterNetworkPolicy>
  readonly nodes: ReadonlyMap<string, KubeNode>
  readonly services: ReadonlyMap<string, Service>
  /** Policies of which nothing can be used, in words. */
  readonly unusable: readonly string[]
}

export async function readPolicyObjects(client: ApiClient, signal: AbortSignal): Promise<PolicyObjects> {
  const [podList, namespaceList, policyList, clusterPolicyList, nodeList, serviceList] = await Promise.all([
    listed(client, policyPods, signal),
    listed(client, namespaces, signal),
    listed(client, networkPolicies, signal),
    // A custom resource: many clusters do not have it.
    listed(client, clusterNetworkPolicies, signal, true),
    listed(client, nodes, signal),
    listed(client, services, signal),
  ])
  return {
    pods: byKey(podList),
    namespaces: byKey(namespaceList),
    networkPolicies: byKey(policyList),
    clusterNetworkPolicies: byKey(clusterPolicyList),
    nodes: byKey(nodeList),
    services: byKey(serviceList),
    unusable: [...unusable('NetworkPolicy', policyList), ...unusable('ClusterNetworkPolicy', clusterPolicyList)],
  }
}

async function listed<T extends KubeObject>(
  client: ApiClient,
  resource: Resource<T>,
  signal: AbortSignal,
  isOptional = false,
): Promise<ObjectList<T>> {
  const answer = await client.list(resource, {}, signal)
  if (answer.ok) return answer.value
  if (isOptional && answer.error.kind === 'notFound') return { items: [], malformed: [], resourceVersion: '' }
  throw new CliError(`${resource.plural} cannot be read: ${formatApiError(answer.error)}`)
}

function byKey<T extends KubeObject>({ items }: ObjectList<T>): ReadonlyMap<string, T> {
  return new Map(items.map((object) => [objectKey(object.metadata), object]))
}

function unusable(kind: string, { malformed }: ObjectList<KubeObject>): readonly string[] {
  return malformed.map(
    ({ key, errors }) =>
      `${kind} ${key} cannot be read and is left out here; nodes keep its last readable version: ${formatFieldErrors(errors)}`,
  )
}
