import type { AnnotationReader } from './annotation-reader.ts'
import type { Redirection } from './redirection.ts'

const mesh = 'mesh.vcn-cni.io'
const modes = { REDIRECT: 'redirect', TPROXY: 'tproxy' } as const

/** For a sidecar of whatever make, by annotations of our own. What has no port is not redirected. */
export function genericRedirection(annotations: AnnotationReader): Redirection {
  const inboundPort = annotations.port(`${mesh}/inbound-port`)
  const outboundPort = annotations.port(`${mesh}/outbound-port`)
  const dnsPort = annotations.port(`${mesh}/dns-port`)
  const proxy = { uids: annotations.ids(`${mesh}/proxy-uid`) ?? [], gids: annotations.ids(`${mesh}/proxy-gid`) ?? [] }
  if (!['inbound-port', 'outbound-port', 'dns-port'].some((name) => annotations.has(`${mesh}/${name}`)))
    annotations.report(`${mesh}/inbound-port`, 'is missing: profile generic needs it, or outbound-port, or dns-port')
  const isOutward = outboundPort !== undefined || dnsPort !== undefined
  if (isOutward && annotations.problems.length === 0 && proxy.uids.length + proxy.gids.length === 0)
    annotations.report(`${mesh}/proxy-uid`, 'is missing: without it (or proxy-gid) the proxy would be sent to itself')
  const includedPorts = annotations.portList(`${mesh}/include-outbound-ports`)
  const mode = modes[annotations.oneOf(`${mesh}/interception-mode`, ['REDIRECT', 'TPROXY']) ?? 'REDIRECT']
  return {
    profile: 'generic',
    inbound: {
      mode: inboundPort === undefined ? 'off' : mode,
      proxyPort: inboundPort ?? 0,
      ports: annotations.portList(`${mesh}/include-inbound-ports`) ?? 'all',
      excludedPorts: annotations.ports(`${mesh}/exclude-inbound-ports`) ?? [],
      excludedSources: annotations.blocks(`${mesh}/exclude-inbound-sources`) ?? [],
    },
    outbound: {
      isOn: outboundPort !== undefined,
      proxyPort: outboundPort ?? 0,
      ports: includedPorts ?? [],
      excludedPorts: annotations.ports(`${mesh}/exclude-outbound-ports`) ?? [],
      // Ports alone mean those ports; with Istio's annotations they would add nothing to all addresses.
      blocks: annotations.blockList(`${mesh}/include-outbound-cidrs`) ?? (includedPorts === undefined ? 'all' : []),
      excludedBlocks: annotations.blocks(`${mesh}/exclude-outbound-cidrs`) ?? [],
    },
    proxy,
    ...(dnsPort !== undefined && { dnsPort }),
    excludedInterfaces: annotations.interfaces(`${mesh}/exclude-interfaces`) ?? [],
  }
}
