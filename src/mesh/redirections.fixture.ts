// Redirections as meshes ask for them, to be changed in one place or another.
import type { Cidr } from '../base/cidr.ts'
import { unwrap } from '../base/result.ts'
import type { MeshContainer, MeshPod } from '../kube/mesh-pod.ts'
import { parseSourceRange } from '../kube/service-address.ts'
import { decideRedirection } from './decide-redirection.ts'
import type { Redirection } from './redirection.ts'

export const block = (text: string): Cidr => unwrap(parseSourceRange(text))

export function container(name: string, rest: Partial<MeshContainer> = {}): MeshContainer {
  return { name, isInit: false, env: {}, ...rest }
}

/** A pod `shop/web` with these annotations. */
export function meshPod(
  annotations: Readonly<Record<string, string>>,
  containers: readonly MeshContainer[] = [],
  rest: Partial<MeshPod> = {},
): MeshPod {
  return {
    metadata: {
      name: 'web',
      namespace: 'shop',
      uid: 'u1',
      resourceVersion: '1',
      labels: {},
      annotations,
      finalizers: [],
      ownerReferences: [],
    },
    hostNetwork: false,
    containers: [container('app'), ...containers],
    ...rest,
  }
}

type Annotations = Readonly<Record<string, string>>

const prefixed = (prefix: string, annotations: Annotations): Annotations =>
  Object.fromEntries(Object.entries(annotations).map(([name, value]): [string, string] => [`${prefix}/${name}`, value]))

/** As Istio's webhook leaves a pod. */
export function istioPod(annotations: Annotations = {}, sidecar: Partial<MeshContainer> = {}): MeshPod {
  return meshPod({ 'sidecar.istio.io/status': '{}', ...annotations }, [
    container('istio-proxy', { runAsUser: 1337, ...sidecar }),
  ])
}

/** Annotations by the ends of their names. */
export function linkerdPod(annotations: Annotations = {}): MeshPod {
  return meshPod(prefixed('config.linkerd.io', annotations), [container('linkerd-proxy', { runAsUser: 2102 })])
}

/** Annotations by the ends of their names. */
export function genericPod(annotations: Annotations): MeshPod {
  return meshPod({ 'mesh.vcn-cni.io/profile': 'generic', ...prefixed('mesh.vcn-cni.io', annotations) })
}

export function redirectionOf(pod: MeshPod): Redirection {
  const decision = unwrap(decideRedirection(pod, { chainedTypes: [], excludedNamespaces: [] }))
  if (decision.kind === 'none') throw new Error(`not redirected: ${decision.because}`)
  return decision.redirection
}

/** Istio's annotations by the ends of their names. */
export function traffic(annotations: Annotations): Annotations {
  return prefixed('traffic.sidecar.istio.io', annotations)
}

export const istioDns = { env: { ISTIO_META_DNS_CAPTURE: 'true' } }
export const istioTproxy = { 'sidecar.istio.io/interceptionMode': 'TPROXY' }
