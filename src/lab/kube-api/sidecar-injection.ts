import { haproxyImage, sidecarImage } from '../sidecar/images.ts'
import { conventions, type SidecarProfile } from '../sidecar/profile.ts'
import { type JsonObject, type KubeObject, listAt, objectAt, textAt, withMeta } from './objects.ts'
import { forbidden, type Subject } from './status-error.ts'

// What a mesh's mutating webhook does to a pod that is made: no init container, as where a plugin makes the rules.

export const injectionAnnotation = 'lab.vcn-cni.io/sidecar'

interface Injection {
  readonly profile: SidecarProfile
  readonly container: string
  readonly image: string
  /** By which the mesh's own plugin, too, knows that the pod was injected. */
  readonly annotations: Readonly<Record<string, string>>
}

const istio = {
  profile: 'istio',
  container: 'istio-proxy',
  annotations: { 'sidecar.istio.io/status': '{"containers":["istio-proxy"]}' },
} as const
const injections: Readonly<Record<string, Injection>> = {
  istio: { ...istio, image: sidecarImage },
  haproxy: { ...istio, image: haproxyImage },
  linkerd: {
    profile: 'linkerd',
    container: 'linkerd-proxy',
    image: sidecarImage,
    annotations: { 'linkerd.io/proxy-version': 'vcn-lab' },
  },
}

/** Of a pod that asks for one by its annotation; any other stays as it is. Throws the refusal of a name that is none. */
export function injectSidecar(pod: KubeObject, subject: Subject): KubeObject {
  const asked = textAt(pod.metadata, 'annotations', injectionAnnotation)
  if (asked === '') return pod
  const injection = injections[asked]
  if (injection === undefined) {
    const valid = Object.keys(injections).join(', ')
    const why = `${injectionAnnotation} ${JSON.stringify(asked)} is no sidecar of the lab: valid are ${valid}`
    throw forbidden(subject, `admission webhook "sidecar.lab.vcn-cni.io" denied the request: ${why}`)
  }
  const containers = listAt(pod, 'spec', 'containers')
  if (containers.some((one) => textAt(one, 'name') === injection.container)) return pod
  const annotations = { ...objectAt(pod.metadata, 'annotations'), ...injection.annotations }
  const spec = { ...objectAt(pod, 'spec'), containers: [...containers, containerOf(injection)] }
  return { ...withMeta(pod, { annotations }), spec }
}

function containerOf({ profile, container, image }: Injection): JsonObject {
  const { uid, gid, inboundPort } = conventions[profile]
  const socket = `:${inboundPort.toString(16).toUpperCase()} 00000000:0000 0A`
  return {
    name: container,
    image,
    securityContext: { runAsUser: uid, runAsGroup: gid, runAsNonRoot: true },
    // Not by a connection, which would be one in the sidecar's log: whether somebody listens (proc_net_tcp(5)).
    readinessProbe: { exec: { command: ['grep', '-q', socket, '/proc/self/net/tcp'] }, periodSeconds: 10 },
  }
}
