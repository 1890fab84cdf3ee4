import type { ClusterManifests, EndpointManifest, ServiceManifest, SliceManifest } from './manifests.fixture.ts'
import { at, both, draining, dying, forNode, forZone, local, node, slice, vip, web } from './one-service.fixture.ts'

// What a service proxy does, feature by feature: the smallest clusters that want it.

const clusterIp: ServiceManifest['spec'] = { externalIPs: [], ports: [{ port: 80 }] }
const udp: ServiceManifest['spec'] = { ...clusterIp, ports: [{ port: 53, protocol: 'UDP' }] }
const sctp: ServiceManifest['spec'] = { type: 'NodePort', ports: [{ port: 80, protocol: 'SCTP', nodePort: 30_001 }] }
const affinity: ServiceManifest['spec'] = { sessionAffinity: 'ClientIP' }
const affinityFor = (timeoutSeconds: number): ServiceManifest['spec'] => ({
  ...{ ...clusterIp, ...affinity },
  sessionAffinityConfig: { clientIP: { timeoutSeconds } },
})
const severalPorts: ServiceManifest['spec'] = {
  ...clusterIp,
  ports: [
    { name: 'dns', port: 53, protocol: 'UDP' },
    { name: 'dns-tcp', port: 53 },
    { name: 'metrics', port: 9153 },
  ],
}
const ready = undefined
/** Another Service with the same endpoints. */
const second = (spec: ServiceManifest['spec']): ServiceManifest => ({
  ...web({ clusterIP: '10.96.0.2', ...spec }),
  metadata: { namespace: 'x', name: 'second' },
})

type Feature = readonly [string, ServiceManifest | readonly ServiceManifest[], readonly EndpointManifest[]]
const features: readonly Feature[] = [
  ['nothing', web({ type: 'ExternalName' }), []],
  ['cluster-ip', web(clusterIp), both],
  ['cluster-ip-udp', web(udp), [at('here'), at('there'), at('there2')]],
  ['no-endpoint', web(clusterIp), []],
  ['internal-policy-local', web({ ...clusterIp, internalTrafficPolicy: 'Local' }), [at('there')]],
  ['node-port', web({ type: 'NodePort', externalIPs: [] }), both],
  ['external-ip', web({}), both],
  ['external-policy-local', web({ ...local, type: 'NodePort' }), both],
  ['external-policy-local-none-here', web({ ...local, type: 'NodePort' }), [at('there')]],
  ['affinity', web({ ...affinity, type: 'NodePort' }), both],
  ['affinity-two-timeouts', [web(affinityFor(600)), second(affinityFor(86_400))], both],
  ['affinity-policy-local', web({ ...affinity, ...local, type: 'NodePort' }), both],
  [
    'source-ranges',
    web({ type: 'LoadBalancer', loadBalancerSourceRanges: ['192.0.2.0/24', '10.0.0.0/8', '10.0.1.0/24'] }, [vip]),
    both,
  ],
  ['source-ranges-everybody', web({ type: 'LoadBalancer', loadBalancerSourceRanges: ['0.0.0.0/0'] }, [vip]), both],
  ['load-balancer', web({ type: 'LoadBalancer', externalIPs: [] }, [vip]), both],
  ['load-balancer-policy-local', web({ ...local, type: 'LoadBalancer', externalIPs: [] }, [vip]), both],
  ['load-balancer-mode-proxy', web({ type: 'LoadBalancer', externalIPs: [] }, [{ ...vip, ipMode: 'Proxy' }]), both],
  ['external-ip-policy-local', web(local), both],
  ['sctp', web(sctp), both],
  ['sctp-affinity', web({ ...sctp, ...affinity }), both],
  ['several-ports-and-protocols', web(severalPorts), both],
  ['services-with-as-many-endpoints', [web(clusterIp), second(clusterIp)], both],
  ['hairpin', web(clusterIp), [at('here')]],
  ['terminating', web(clusterIp), [at('here', draining), at('there', dying)]],
  ['terminating-policy-local', web({ ...local, type: 'NodePort' }), [at('here', draining), at('there')]],
  ['hints-for-node', web(clusterIp), [at('here', ready, forNode('here')), at('there', ready, forNode('there'))]],
  ['hints-for-zone', web(clusterIp), [at('here', ready, forZone('z2')), at('there', ready, forZone('z1'))]],
]

/** With every port that the Service has, each at another number. */
function sliceOf({ metadata, spec }: ServiceManifest, endpoints: readonly EndpointManifest[]): SliceManifest {
  const ports = (spec.ports ?? []).map(({ name = '', protocol = 'TCP' }, index) => ({
    name,
    port: 8080 + index,
    protocol,
  }))
  const labels = { 'kubernetes.io/service-name': metadata.name }
  return slice(endpoints, { ports, metadata: { namespace: metadata.namespace, name: `${metadata.name}-1`, labels } })
}

export const featureClusters: readonly (readonly [feature: string, cluster: ClusterManifests])[] = features.map(
  ([feature, given, endpoints]) => {
    const services = [given].flat()
    return [feature, { services, slices: services.map((service) => sliceOf(service, endpoints)), node }]
  },
)
