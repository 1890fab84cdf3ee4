import type { MeshPod } from '../kube/mesh-pod.ts'
import type { AnnotationReader } from './annotation-reader.ts'
import { portRange } from './port-ranges.ts'
import type { Redirection } from './redirection.ts'

export const linkerdProxy = 'linkerd-proxy'

const config = 'config.linkerd.io'
const defaultUid = 2102
/** Galera's, which TLS detection would hold up: what linkerd's chart skips unless told (proxyInit.ignoreInboundPorts). */
const skippedUnlessTold = [{ from: 4567, to: 4568 }]

export function linkerdRedirection(pod: MeshPod, annotations: AnnotationReader): Redirection {
  const sidecar = pod.containers.find(({ name, isInit }) => name === linkerdProxy && !isInit)
  const gid = annotations.id(`${config}/proxy-gid`)
  // Those are asked for from outside of the mesh: by the control plane's tap and by Prometheus.
  const ownPorts = [
    annotations.port(`${config}/control-port`) ?? 4190,
    annotations.port(`${config}/admin-port`) ?? 4191,
  ].map(portRange)
  return {
    profile: 'linkerd',
    inbound: {
      mode: 'redirect',
      proxyPort: annotations.port(`${config}/inbound-port`) ?? 4143,
      ports: 'all',
      excludedPorts: [...ownPorts, ...(annotations.ports(`${config}/skip-inbound-ports`) ?? skippedUnlessTold)],
      excludedSources: annotations.blocks(`${config}/skip-subnets`) ?? [],
    },
    outbound: {
      isOn: true,
      proxyPort: annotations.port(`${config}/outbound-port`) ?? 4140,
      ports: [],
      excludedPorts: annotations.ports(`${config}/skip-outbound-ports`) ?? skippedUnlessTold,
      blocks: 'all',
      excludedBlocks: [],
    },
    proxy: {
      uids: [annotations.id(`${config}/proxy-uid`) ?? sidecar?.runAsUser ?? defaultUid],
      gids: gid === undefined ? [] : [gid],
    },
    excludedInterfaces: [],
  }
}
