import type { KubeNode } from '../../kube/node.ts'
import { isNodeReady } from '../../kube/node.ts'
import { nodes } from '../../kube/resources.ts'
import { clusterPaths } from '../cluster-paths.ts'
import { type ClusterPod, clusterPods, isPodReady, statusText } from './cluster-pod.ts'
import { backgroundPid } from './cluster-processes.ts'
import { clusterClient } from './cluster-up.ts'
import { clusterStatus } from './control-client.ts'
import { notReadyTaint } from './node-objects.ts'

/** What `vcnctl lab status` says of a lab that is a cluster. */
export interface ClusterReport {
  readonly process: { readonly pid: number | null; readonly log: string; readonly controlSocket: string }
  readonly controller: { readonly pid: number | null; readonly log: string; readonly config: string }
  /** Null when the cluster process does not answer. */
  readonly kubeUrl: string | null
  readonly ociEndpoint: string | null
  readonly kubeconfig: string
  /** Null when the Kubernetes API does not answer. */
  readonly nodes: readonly NodeReport[] | null
  readonly pods: readonly PodReport[] | null
}

export interface NodeReport {
  readonly name: string
  readonly instanceId: string | null
  readonly ready: boolean
  /** false: our taint is still there. */
  readonly network: boolean
}

export interface PodReport {
  readonly namespace: string
  readonly name: string
  readonly node: string | null
  readonly phase: string
  readonly ready: boolean
  readonly address: string | null
}

const timeoutMs = 3000

export async function clusterReport(lab: string): Promise<ClusterReport> {
  const paths = clusterPaths(lab)
  const status = await clusterStatus(lab, AbortSignal.timeout(timeoutMs)).catch(() => undefined)
  const objects = await readObjects(lab)
  return {
    process: {
      pid: backgroundPid(paths.pidFile, paths.directory) ?? null,
      log: paths.log,
      controlSocket: paths.controlSocket,
    },
    controller: {
      pid: backgroundPid(paths.controllerPidFile, paths.controllerConfig) ?? null,
      log: paths.controllerLog,
      config: paths.controllerConfig,
    },
    kubeUrl: status?.ok === true ? status.value.kubeUrl : null,
    ociEndpoint: status?.ok === true ? status.value.ociEndpoint : null,
    kubeconfig: paths.kubeconfig,
    nodes: objects?.nodes.map(reportNode) ?? null,
    pods: objects?.pods.map(reportPod) ?? null,
  }
}

async function readObjects(
  lab: string,
): Promise<{ readonly nodes: readonly KubeNode[]; readonly pods: readonly ClusterPod[] } | undefined> {
  const signal = AbortSignal.timeout(timeoutMs)
  try {
    const client = clusterClient(lab)
    try {
      const [listedNodes, listedPods] = await Promise.all([
        client.list(nodes, {}, signal),
        client.list(clusterPods, {}, signal),
      ])
      return listedNodes.ok && listedPods.ok
        ? { nodes: listedNodes.value.items, pods: listedPods.value.items }
        : undefined
    } finally {
      client.close()
    }
  } catch {
    // No kubeconfig yet, or no answer in time: the report says so.
    return undefined
  }
}

function reportNode(node: KubeNode): NodeReport {
  return {
    name: node.metadata.name,
    instanceId: node.providerId ?? null,
    ready: isNodeReady(node),
    network: !node.taints.some(({ key }) => key === notReadyTaint),
  }
}

function reportPod(pod: ClusterPod): PodReport {
  const { namespace, name } = pod.metadata
  return {
    namespace,
    name,
    node: pod.nodeName ?? null,
    phase: pod.metadata.deletionTimestamp === undefined ? (statusText(pod, 'phase') ?? 'Pending') : 'Terminating',
    ready: isPodReady(pod),
    address: statusText(pod, 'podIP') ?? null,
  }
}
