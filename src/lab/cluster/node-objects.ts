import type { ApiClient } from '../../kube/api-client.ts'
import { formatApiError } from '../../kube/api-error.ts'
import type { Manifest } from '../../kube/object.ts'
import { nodes } from '../../kube/resources.ts'
import type { ClusterSettings } from '../cluster-settings.ts'
import type { InstanceRecord } from '../oci-api/cloud-records.ts'

export interface NodeObjectInput {
  readonly lab: string
  readonly name: string
  readonly internalIp: string
  readonly instance: InstanceRecord
  readonly settings: Pick<ClusterSettings, 'maxPodCount' | 'shape'>
  /** RFC 3339 */
  readonly now: string
}

/** On every Node that a lab registered, with the lab's name: by it `lab down` finds them in an API that stays. */
export const labLabel = 'vcn-cni/lab'
/** Taken away by the agent when the node can serve a pod. */
export const notReadyTaint = 'vcn-cni/not-ready'
/** A well-known label of Kubernetes. */
export const zoneLabel = 'topology.kubernetes.io/zone'

/** A Node as a kubelet registers it that was told of the cloud and of our taint. */
export function nodeManifest({ lab, name, internalIp, instance, settings, now }: NodeObjectInput): Manifest {
  const resources = { cpu: '4', memory: '16Gi', pods: String(settings.maxPodCount) }
  const ready = { type: 'Ready', status: 'True', reason: 'KubeletReady', message: 'a node of the lab' }
  return {
    metadata: {
      name,
      labels: {
        'kubernetes.io/hostname': name,
        'kubernetes.io/os': 'linux',
        'node.kubernetes.io/instance-type': settings.shape,
        // Without the tenancy's prefix, as on OKE: labels take no colon.
        [zoneLabel]: instance.availabilityDomain.split(':').at(-1) ?? '',
        [labLabel]: lab,
      },
    },
    spec: { providerID: instance.id, taints: [{ key: notReadyTaint, effect: 'NoSchedule' }] },
    status: {
      addresses: [
        { type: 'InternalIP', address: internalIp },
        { type: 'Hostname', address: name },
      ],
      capacity: resources,
      allocatable: resources,
      conditions: [{ ...ready, lastHeartbeatTime: now, lastTransitionTime: now }],
      nodeInfo: {
        architecture: process.arch === 'x64' ? 'amd64' : process.arch,
        bootID: '',
        containerRuntimeVersion: 'vcn-lab://1',
        kernelVersion: '',
        kubeProxyVersion: '',
        kubeletVersion: 'v0.0.0-vcn-lab',
        machineID: '',
        operatingSystem: 'linux',
        osImage: 'vcn-cni lab',
        systemUUID: '',
      },
    },
  }
}

export async function registerNode(client: ApiClient, input: NodeObjectInput, signal: AbortSignal): Promise<void> {
  const created = await client.create(nodes, nodeManifest(input), signal)
  if (created.ok) return
  const existing = await client.get(nodes, { name: input.name }, signal)
  const isOurs = existing.ok && existing.value.providerId === input.instance.id
  if (!isOurs) throw new Error(`node ${input.name} was not registered: ${formatApiError(created.error)}`)
}

/** What a cloud controller manager does once the instance has gone. */
export async function deleteNode(client: ApiClient, name: string, signal: AbortSignal): Promise<void> {
  const deleted = await client.delete(nodes, { name }, {}, signal)
  if (!deleted.ok && deleted.error.kind !== 'notFound') throw new Error(formatApiError(deleted.error))
}
