import { unwrap } from '../base/result.ts'
import { parseClusterNetworkPolicy } from '../kube/cluster-network-policy.ts'
import { parseNamespace } from '../kube/namespace.ts'
import { parseNetworkPolicy } from '../kube/network-policy.ts'
import { objectKey } from '../kube/object.ts'
import { parsePolicyPod } from '../kube/policy-pod.ts'
import type { Edit } from './generator.fixture.ts'
import type { ClusterManifests } from './manifests.fixture.ts'
import type { PolicyObjectChanges } from './policy-index.ts'

/** Whatever was written and not deleted, as manifests; and what an index is to be told of it. */
export class ClusterState {
  readonly #objects = new Map<string, Edit>()

  edit(edits: readonly Edit[]): void {
    for (const edit of edits) {
      const key = `${edit.kind} ${objectKey(edit.object.metadata)}`
      if (edit.isGone) this.#objects.delete(key)
      else this.#objects.set(key, edit)
    }
  }

  manifests(): ClusterManifests {
    const all = [...this.#objects.values()]
    return {
      namespaces: all.flatMap((edit) => (edit.kind === 'namespace' ? [edit.object] : [])),
      pods: all.flatMap((edit) => (edit.kind === 'pod' ? [edit.object] : [])),
      networkPolicies: all.flatMap((edit) => (edit.kind === 'networkPolicy' ? [edit.object] : [])),
      clusterNetworkPolicies: all.flatMap((edit) => (edit.kind === 'clusterNetworkPolicy' ? [edit.object] : [])),
    }
  }

  everything(): PolicyObjectChanges {
    return changesOf([...this.#objects.values()])
  }
}

export function changesOf(edits: readonly Edit[]): PolicyObjectChanges {
  const parsed = <T>(kind: Edit['kind'], parse: (raw: unknown) => T): ReadonlyMap<string, T | undefined> =>
    new Map(
      edits
        .filter((edit) => edit.kind === kind)
        .map(({ isGone, object }) => [objectKey(object.metadata), isGone ? undefined : parse(object)]),
    )
  return {
    namespaces: parsed('namespace', (raw) => unwrap(parseNamespace(raw))),
    pods: parsed('pod', (raw) => unwrap(parsePolicyPod(raw))),
    networkPolicies: parsed('networkPolicy', (raw) => unwrap(parseNetworkPolicy(raw))),
    clusterNetworkPolicies: parsed('clusterNetworkPolicy', (raw) => unwrap(parseClusterNetworkPolicy(raw))),
  }
}

export function editsOf(cluster: Partial<ClusterManifests>): readonly Edit[] {
  const isGone = false
  return [
    ...(cluster.namespaces ?? []).map((object): Edit => ({ kind: 'namespace', isGone, object })),
    ...(cluster.pods ?? []).map((object): Edit => ({ kind: 'pod', isGone, object })),
    ...(cluster.networkPolicies ?? []).map((object): Edit => ({ kind: 'networkPolicy', isGone, object })),
    ...(cluster.clusterNetworkPolicies ?? []).map((object): Edit => ({ kind: 'clusterNetworkPolicy', isGone, object })),
  ]
}
