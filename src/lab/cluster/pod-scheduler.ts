import type { KubeNode } from '../../kube/node.ts'
import type { ClusterPod } from './cluster-pod.ts'

export interface Binding {
  readonly pod: ClusterPod
  readonly node: string
}

const hostnameLabel = 'kubernetes.io/hostname'

/** Where pods that have no node go: to the one with the fewest pods, of those that take pods and are asked for. */
export function planBindings(pods: readonly ClusterPod[], nodes: readonly KubeNode[]): readonly Binding[] {
  const counts = new Map<string, number>()
  const count = (node: string): number => counts.get(node) ?? 0
  for (const { nodeName } of pods) if (nodeName !== undefined) counts.set(nodeName, count(nodeName) + 1)
  const bindings: Binding[] = []
  for (const pod of pods.filter(isWaiting)) {
    const [best] = nodes
      .filter((node) => takesPods(node) && matches(pod, node) && count(node.metadata.name) < (node.maxPods ?? Infinity))
      .map(({ metadata }) => metadata.name)
      .sort((a, b) => count(a) - count(b) || (a < b ? -1 : 1))
    if (best === undefined) continue
    counts.set(best, count(best) + 1)
    bindings.push({ pod, node: best })
  }
  return bindings
}

function isWaiting({ nodeName, metadata }: ClusterPod): boolean {
  return nodeName === undefined && metadata.deletionTimestamp === undefined
}

function takesPods({ unschedulable, taints }: KubeNode): boolean {
  return !unschedulable && !taints.some(({ effect }) => effect === 'NoSchedule' || effect === 'NoExecute')
}

function matches({ nodeSelector }: ClusterPod, { metadata }: KubeNode): boolean {
  const labels: Readonly<Record<string, string>> = { [hostnameLabel]: metadata.name, ...metadata.labels }
  return Object.entries(nodeSelector).every(([key, value]) => labels[key] === value)
}
