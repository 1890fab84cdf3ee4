import { err, ok, type Result } from '../base/result.ts'
import type { MeshPod } from '../kube/mesh-pod.ts'
import { type AnnotationProblem, AnnotationReader } from './annotation-reader.ts'
import { genericRedirection } from './generic-redirection.ts'
import { istioProxy, istioRedirection } from './istio-redirection.ts'
import { linkerdProxy, linkerdRedirection } from './linkerd-redirection.ts'
import { type Profile, profiles, type Redirection } from './redirection.ts'

export { type AnnotationProblem, formatAnnotationProblem } from './annotation-reader.ts'

export interface MeshSurroundings {
  /** Types of the plugins in the node's configuration list. */
  readonly chainedTypes: readonly string[]
  readonly excludedNamespaces: readonly string[]
}

export type MeshDecision = LeftAlone | { readonly kind: 'redirect'; readonly redirection: Redirection }

interface LeftAlone {
  readonly kind: 'none'
  readonly because: string
  /** The init container or the plugin that redirects the pod's traffic in our place. */
  readonly doneBy?: string
}

const profileAnnotation = 'mesh.vcn-cni.io/profile'
/** Containers that install a mesh's rules before the pod starts. Those that only look whether it was done are not here. */
const installers = ['istio-init', 'linkerd-init']
const plugins: Readonly<Record<Profile, string | undefined>> = {
  istio: 'istio-cni',
  linkerd: 'linkerd-cni',
  generic: undefined,
}

/** What is to be done with a pod's traffic, and if nothing, why. Annotations of other profiles are not looked at. */
export function decideRedirection(
  pod: MeshPod,
  surroundings: MeshSurroundings,
): Result<MeshDecision, readonly AnnotationProblem[]> {
  const exempt = exemption(pod, surroundings)
  if (exempt !== undefined) return ok(exempt)
  const annotations = new AnnotationReader(pod)
  const named = annotations.oneOf(profileAnnotation, [...profiles, 'none'])
  if (annotations.problems.length > 0) return err(annotations.problems)
  if (named === 'none') return ok({ kind: 'none', because: `${profileAnnotation} is none` })
  const profile = named ?? detectedProfile(pod)
  if (profile === undefined) return ok({ kind: 'none', because: 'it has no sidecar' })
  const plugin = plugins[profile]
  if (plugin !== undefined && surroundings.chainedTypes.includes(plugin))
    return ok({ kind: 'none', because: `${plugin} is in the node's configuration and does it`, doneBy: plugin })
  const redirection = redirectionOf(profile, pod, annotations)
  if (annotations.problems.length > 0) return err(annotations.problems)
  if (redirection === undefined) return ok({ kind: 'none', because: 'sidecar.istio.io/interceptionMode is NONE' })
  return ok({ kind: 'redirect', redirection })
}

function exemption(pod: MeshPod, { excludedNamespaces }: MeshSurroundings): LeftAlone | undefined {
  if (pod.hostNetwork) return { kind: 'none', because: "it uses the node's network" }
  const { namespace } = pod.metadata
  if (excludedNamespaces.includes(namespace)) return { kind: 'none', because: `namespace ${namespace} is excluded` }
  const installer = pod.containers.find(({ name, isInit }) => isInit && installers.includes(name))
  return installer && { kind: 'none', because: `its init container ${installer.name} does it`, doneBy: installer.name }
}

/** For Istio the condition of its own plugin: the sidecar was injected, and injection is not turned off. */
function detectedProfile(pod: MeshPod): Profile | undefined {
  const { annotations } = pod.metadata
  const hasSidecar = (sidecar: string): boolean =>
    pod.containers.some(({ name, isInit }) => name === sidecar && !isInit)
  const isInjected =
    annotations['sidecar.istio.io/status'] !== undefined && annotations['sidecar.istio.io/inject'] !== 'false'
  if (hasSidecar(istioProxy) && isInjected) return 'istio'
  return hasSidecar(linkerdProxy) ? 'linkerd' : undefined
}

function redirectionOf(profile: Profile, pod: MeshPod, annotations: AnnotationReader): Redirection | undefined {
  switch (profile) {
    case 'istio':
      return istioRedirection(pod, annotations)
    case 'linkerd':
      return linkerdRedirection(pod, annotations)
    case 'generic':
      return genericRedirection(annotations)
  }
}
