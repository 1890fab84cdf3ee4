import { ok } from '../../base/result.ts'
import { type MeshContainer, type MeshPod, meshPods } from '../../kube/mesh-pod.ts'
import type { Resource } from '../../kube/object.ts'
import { mirrorAnnotation } from '../../kube/pod-uids.ts'
import { istioProxy } from '../../mesh/istio-redirection.ts'

/** Of which annotations and labels are kept, with all domains below; other tools write kilobytes into theirs. */
const domains = ['istio.io', 'linkerd.io', 'mesh.vcn-cni.io']

/** This node's pods for as long as they are there: what the decision does not look at is not kept. */
export const keptPods: Resource<MeshPod> = {
  ...meshPods,
  parse: (raw) => {
    const parsed = meshPods.parse(raw)
    return parsed.ok ? ok(keptOf(parsed.value)) : parsed
  },
}

export function keptOf({ metadata, hostNetwork, containers }: MeshPod): MeshPod {
  const { name, namespace, uid, resourceVersion, labels, annotations } = metadata
  return {
    metadata: {
      name,
      namespace,
      uid,
      resourceVersion,
      labels: ofMeshes(labels),
      annotations: ofMeshes(annotations),
      finalizers: [],
      ownerReferences: [],
    },
    hostNetwork,
    containers: containers.map(keptContainer),
  }
}

function keptContainer(container: MeshContainer): MeshContainer {
  // Of others' environments nothing says how the mesh is set up, and they may be long.
  return container.name === istioProxy ? container : { ...container, env: {} }
}

function ofMeshes(values: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(values).filter(([key]) => isOfMesh(key)))
}

function isOfMesh(key: string): boolean {
  const domain = key.slice(0, key.indexOf('/'))
  return key === mirrorAnnotation || domains.some((one) => domain === one || domain.endsWith(`.${one}`))
}
