import { type ClusterNetworkPolicy, parseClusterNetworkPolicy } from './cluster-network-policy.ts'
import { type Namespace, parseNamespace } from './namespace.ts'
import { type NetworkPolicy, parseNetworkPolicy } from './network-policy.ts'
import type { Resource } from './object.ts'
import { parsePolicyPod, type PolicyPod } from './policy-pod.ts'
import { pods } from './resources.ts'

export const networkPolicies: Resource<NetworkPolicy> = {
  group: 'networking.k8s.io',
  version: 'v1',
  plural: 'networkpolicies',
  kind: 'NetworkPolicy',
  namespaced: true,
  parse: parseNetworkPolicy,
}

/** A custom resource: API servers of clusters without it answer 404. */
export const clusterNetworkPolicies: Resource<ClusterNetworkPolicy> = {
  group: 'policy.networking.k8s.io',
  version: 'v1alpha2',
  plural: 'clusternetworkpolicies',
  kind: 'ClusterNetworkPolicy',
  namespaced: false,
  parse: parseClusterNetworkPolicy,
}

export const namespaces: Resource<Namespace> = {
  group: '',
  version: 'v1',
  plural: 'namespaces',
  kind: 'Namespace',
  namespaced: false,
  parse: parseNamespace,
}

export const policyPods: Resource<PolicyPod> = { ...pods, parse: parsePolicyPod }
