import type { MeshPod } from '../kube/mesh-pod.ts'
import type { AnnotationReader } from './annotation-reader.ts'
import { portRange } from './port-ranges.ts'
import type { Redirection } from './redirection.ts'

export const istioProxy = 'istio-proxy'
export const hbonePort = 15_008

/** Istio's own: HBONE, merged telemetry, readiness, Envoy's telemetry (istio.io, application requirements). */
const ownPorts = [hbonePort, 15_020, 15_021, 15_090].map(portRange)
const owner = 1337
const traffic = 'traffic.sidecar.istio.io'

/** None when the pod wants its traffic left alone. */
export function istioRedirection(pod: MeshPod, annotations: AnnotationReader): Redirection | undefined {
  const mode = annotations.oneOf('sidecar.istio.io/interceptionMode', ['REDIRECT', 'TPROXY', 'NONE']) ?? 'REDIRECT'
  const included = annotations.portList(`${traffic}/includeInboundPorts`) ?? 'all'
  const excluded = annotations.ports(`${traffic}/excludeInboundPorts`) ?? []
  const redirection: Redirection = {
    profile: 'istio',
    inbound: {
      mode: mode === 'TPROXY' ? 'tproxy' : 'redirect',
      proxyPort: 15_006,
      ports: included,
      // As Istio documents it: exclusions are for pods all of whose ports are redirected.
      excludedPorts: included === 'all' ? [...ownPorts, ...excluded] : ownPorts,
      excludedSources: [],
    },
    outbound: {
      isOn: true,
      proxyPort: 15_001,
      ports: annotations.portList(`${traffic}/includeOutboundPorts`) ?? [],
      excludedPorts: annotations.ports(`${traffic}/excludeOutboundPorts`) ?? [],
      blocks: annotations.blockList(`${traffic}/includeOutboundIPRanges`) ?? 'all',
      excludedBlocks: annotations.blocks(`${traffic}/excludeOutboundIPRanges`) ?? [],
    },
    proxy: { uids: [uidOf(pod)], gids: [owner] },
    ...(capturesDns(pod) && { dnsPort: 15_053 }),
    excludedInterfaces: annotations.interfaces(`${traffic}/excludeInterfaces`) ?? [],
  }
  return mode === 'NONE' ? undefined : redirection
}

/** With TPROXY the sidecar runs as root, as other containers may too: there its group alone tells it from them. */
function uidOf(pod: MeshPod): number {
  const uid = sidecarOf(pod)?.runAsUser ?? owner
  return uid === 0 ? owner : uid
}

function capturesDns(pod: MeshPod): boolean {
  return sidecarOf(pod)?.env['ISTIO_META_DNS_CAPTURE'] === 'true'
}

function sidecarOf(pod: MeshPod): MeshPod['containers'][number] | undefined {
  return pod.containers.find(({ name, isInit }) => name === istioProxy && !isInit)
}
