/**
 * Lists that a strategic merge patch merges instead of replacing: `patchStrategy` and `patchMergeKey` of the API
 * reference, by the model's name in @kubernetes/client-node. '' marks a list of plain values merged as a set.
 * Lists that are not here are atomic: a node's taints and a pod's tolerations among them.
 */
export const mergeKeys: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  V1ObjectMeta: { finalizers: '', ownerReferences: 'uid' },
  V1PodSpec: {
    containers: 'name',
    initContainers: 'name',
    ephemeralContainers: 'name',
    volumes: 'name',
    imagePullSecrets: 'name',
    hostAliases: 'ip',
    topologySpreadConstraints: 'topologyKey',
    resourceClaims: 'name',
    schedulingGates: 'name',
  },
  V1Container: { env: 'name', ports: 'containerPort', volumeMounts: 'mountPath', volumeDevices: 'devicePath' },
  V1EphemeralContainer: { env: 'name', ports: 'containerPort', volumeMounts: 'mountPath', volumeDevices: 'devicePath' },
  V1PodStatus: { conditions: 'type', podIPs: 'ip', hostIPs: 'ip' },
  V1NodeSpec: { podCIDRs: '' },
  V1NodeStatus: { conditions: 'type', addresses: 'type' },
  V1NamespaceStatus: { conditions: 'type' },
  V1ServiceSpec: { ports: 'port' },
  V1ServiceStatus: { conditions: 'type' },
  V1ServiceAccount: { secrets: 'name' },
}
