import fc from 'fast-check'
import type {
  ClusterManifests,
  EndpointManifest,
  Packet,
  PortManifest,
  ServiceManifest,
  SliceManifest,
} from './manifests.fixture.ts'

/**
 * Random clusters in a world so small that things meet: services with the same ports, endpoints in two slices, hints that half
 * of them have. About one field in twenty is what no API server would let through.
 */

const nodeAddress = '10.0.0.5'
const names = ['a', 'b'] as const
const nodes = ['here', 'there'] as const
const zones = ['z1', 'z2'] as const

/** fast-check shrinks towards the first. */
function mostly<T>(good: readonly [T, ...T[]], rare: readonly T[]): fc.Arbitrary<T> {
  if (rare.length === 0) return fc.constantFrom(...good)
  return fc.oneof(
    { weight: 19, arbitrary: fc.constantFrom(...good) },
    { weight: 1, arbitrary: fc.constantFrom(...rare) },
  )
}

/** The record without what is undefined in it, as JSON would have it. */
function partial<T extends object>(fields: {
  [K in keyof Required<T>]: fc.Arbitrary<T[K] | undefined>
}): fc.Arbitrary<T> {
  return fc.record<unknown>(fields).map((record) => JSON.parse(JSON.stringify(record)) as T)
}

const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(arbitrary, { nil: undefined })
const some = <T>(arbitrary: fc.Arbitrary<T>, minLength: number, maxLength: number): fc.Arbitrary<T[]> =>
  fc.array(arbitrary, { minLength, maxLength })

const namespace = mostly(['x'], ['y'])
const protocols = ['TCP', 'UDP', 'SCTP'] as const
const protocol = mostly<string | undefined>([undefined, 'TCP', 'TCP', 'UDP'], ['SCTP', 'ICMP'])
const portName = mostly(['', '', 'web'], [])
const labels = mostly<Record<string, string> | undefined>(
  [undefined],
  [{ 'service.kubernetes.io/headless': '' }, { 'service.kubernetes.io/service-proxy-name': 'other' }],
)

const port: fc.Arbitrary<PortManifest> = partial<PortManifest>({
  name: maybe(portName),
  protocol,
  port: mostly([80, 443], [0, 70_000, 1.5]),
  nodePort: maybe(mostly([30_001, 30_002], [0, -1, 65_536])),
})

const clusterIps = mostly<readonly string[]>(
  [['10.96.0.1'], ['10.96.0.2'], ['10.96.0.3'], ['10.96.0.3', 'fd00::3'], ['fd00::2', '10.96.0.2']],
  [['None'], [''], ['127.0.0.1'], ['banana'], ['fd00::1']],
)

const ingress = mostly<{ readonly ip?: string; readonly hostname?: string; readonly ipMode?: string }>(
  [
    { ip: '198.51.100.1' },
    { ip: '198.51.100.1', ipMode: 'VIP' },
    { ip: '198.51.100.2', ipMode: 'Proxy' },
    { hostname: 'lb' },
  ],
  [{ ip: '169.254.169.254' }, { ip: '' }, { ip: '203.0.113.1' }],
)

const sourceRanges = some(
  mostly(
    ['192.0.2.0/24', '10.0.0.0/16', '10.0.0.5/24', ' 10.0.1.0/30'],
    ['2001:db8::/32', '1.2.3.4', '0.0.0.0/0', 'x/8'],
  ),
  1,
  2,
)

const service: fc.Arbitrary<ServiceManifest> = fc
  .record({
    metadata: partial<ServiceManifest['metadata']>({
      namespace,
      name: fc.constantFrom(...names),
      labels,
      creationTimestamp: fc.constantFrom('2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z', undefined),
    }),
    ips: clusterIps,
    spec: partial<ServiceManifest['spec']>({
      type: mostly<string | undefined>([undefined, 'ClusterIP', 'NodePort', 'LoadBalancer'], ['ExternalName', 'Odd']),
      clusterIP: fc.constant(undefined),
      clusterIPs: fc.constant(undefined),
      ports: some(port, 1, 3),
      externalIPs: some(
        mostly(['203.0.113.1', '203.0.113.2'], ['10.96.0.1', nodeAddress, '::1', 'x', '198.51.100.1']),
        0,
        2,
      ),
      loadBalancerSourceRanges: maybe(sourceRanges),
      internalTrafficPolicy: mostly<string | undefined>([undefined, 'Cluster', 'Local'], ['Odd']),
      externalTrafficPolicy: mostly<string | undefined>([undefined, 'Cluster', 'Local'], ['Odd']),
      healthCheckNodePort: maybe(fc.constantFrom(32_000, 32_001, 0)),
      sessionAffinity: mostly<string | undefined>([undefined, 'None', 'ClientIP'], ['Odd']),
      sessionAffinityConfig: maybe(
        mostly([600, 86_400], [0, 100_000]).map((timeoutSeconds) => ({ clientIP: { timeoutSeconds } })),
      ),
    }),
    status: maybe(some(ingress, 0, 2).map((list) => ({ loadBalancer: { ingress: list } }))),
  })
  .map(({ metadata, ips, spec, status }) => ({
    metadata,
    spec: { ...spec, clusterIP: ips[0] ?? '', clusterIPs: ips },
    ...(status !== undefined && { status }),
  }))

const flag = fc.constantFrom(undefined, true, false)
const hint = (places: readonly [string, ...string[]]): fc.Arbitrary<{ readonly name: string }[] | undefined> =>
  fc.option(
    fc.subarray([...places]).map((list) => list.map((name) => ({ name }))),
    { nil: undefined },
  )

const endpoint: fc.Arbitrary<EndpointManifest> = partial<EndpointManifest>({
  addresses: mostly<readonly string[] | undefined>(
    [['10.0.1.1'], ['10.0.1.2'], ['10.0.1.3'], ['10.0.2.1', '10.0.2.2']],
    [[nodeAddress], [], undefined, ['fd00::9'], ['127.0.0.1', '10.0.2.2'], ['224.0.0.1'], ['x']],
  ),
  nodeName: fc.constantFrom(...nodes, undefined),
  conditions: maybe(
    partial<NonNullable<EndpointManifest['conditions']>>({ ready: flag, serving: flag, terminating: flag }),
  ),
  hints: maybe(partial<NonNullable<EndpointManifest['hints']>>({ forNodes: hint(nodes), forZones: hint(zones) })),
})

const slice: fc.Arbitrary<SliceManifest> = fc
  .record({
    namespace,
    service: fc.constantFrom(...names),
    suffix: fc.constantFrom('1', '2', '3'),
    labels,
    addressType: mostly(['IPv4'], ['IPv6', 'FQDN']),
    ports: some(
      partial<NonNullable<SliceManifest['ports']>[number]>({
        name: mostly<string | undefined>(['', 'web'], [undefined]),
        protocol,
        port: mostly<number | undefined>([8080, 8443], [undefined, 0]),
      }),
      1,
      3,
    ),
    endpoints: some(endpoint, 1, 4),
  })
  .map(({ namespace, service: serviceName, suffix, labels: extra, ...rest }) => ({
    metadata: {
      namespace,
      name: `${serviceName}-${suffix}`,
      labels: { 'kubernetes.io/service-name': serviceName, ...extra },
    },
    ...rest,
  }))

const identity = ({ metadata }: { readonly metadata: { readonly namespace: string; readonly name: string } }): string =>
  `${metadata.namespace}/${metadata.name}`

const node: fc.Arbitrary<ClusterManifests['node']> = fc.constantFrom(
  { name: 'here', zone: 'z1', address: nodeAddress },
  { name: 'here', address: nodeAddress },
)

export const anyService = service
export const anySlice = slice

export const anyCluster: fc.Arbitrary<ClusterManifests> = fc.record({
  services: fc.uniqueArray(service, { minLength: 1, maxLength: 4, selector: identity }),
  slices: fc.uniqueArray(slice, { minLength: 1, maxLength: 6, selector: identity }),
  node,
})

const sources: Readonly<Record<Packet['from'], readonly [string, ...string[]]>> = {
  podLocal: ['10.0.1.1', '10.0.1.9'],
  podRemote: ['10.0.1.2', '10.0.2.9'],
  host: [nodeAddress, '198.51.100.1'],
  external: ['192.0.2.7', '203.0.113.77'],
}

export type Aim = Pick<Packet, 'destination' | 'port'>

/** Most of them aim at something that a Service of the cluster has asked for. */
export function anyPacketTo(cluster: ClusterManifests): fc.Arbitrary<Packet> {
  const aims = cluster.services.flatMap((candidate) => aimsOf(candidate))
  const blind: fc.Arbitrary<Aim> = fc.record({
    destination: mostly(
      ['10.96.0.1', '10.96.0.2', '10.96.0.3', '198.51.100.1', '203.0.113.1', '203.0.113.2', nodeAddress],
      ['127.0.0.1', '198.51.100.2', '169.254.169.254'],
    ),
    port: fc.constantFrom(80, 443, 30_001, 30_002),
  })
  return fc
    .record({
      from: fc.constantFrom('podLocal' as const, 'podRemote' as const, 'host' as const, 'external' as const),
      aim:
        aims.length === 0
          ? blind
          : fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...aims) }, { weight: 1, arbitrary: blind }),
      protocol: fc.constantFrom('TCP' as const, 'TCP' as const, ...protocols),
      source: fc.nat({ max: 1 }),
    })
    .map(({ from, aim, protocol: chosen, source }) => ({
      ...{ from, source: sources[from][source] ?? nodeAddress, protocol: chosen },
      ...aim,
    }))
}

function aimsOf({ spec, status }: ServiceManifest): readonly Aim[] {
  const ingressIps = (status?.loadBalancer.ingress ?? []).map(({ ip = '' }) => ip)
  const addresses = [...(spec.clusterIPs ?? []), ...ingressIps, ...(spec.externalIPs ?? [])]
  return (spec.ports ?? []).flatMap(({ port: number, nodePort }) => [
    ...addresses
      .filter((address) => /^\d+(?:\.\d+){3}$/.test(address))
      .map((destination) => ({ destination, port: number })),
    ...(nodePort === undefined ? [] : [{ destination: nodeAddress, port: nodePort }]),
  ])
}

/** A cluster, and packets for it. */
export const anyTraffic: fc.Arbitrary<{ readonly cluster: ClusterManifests; readonly packets: readonly Packet[] }> =
  anyCluster.chain((cluster) =>
    fc.record({
      cluster: fc.constant(cluster),
      packets: fc.array(anyPacketTo(cluster), { minLength: 20, maxLength: 40 }),
    }),
  )

const blindAims: readonly Aim[] = [
  { destination: '10.96.0.1', port: 80 },
  { destination: '203.0.113.1', port: 443 },
  { destination: nodeAddress, port: 30_001 },
  { destination: '127.0.0.1', port: 30_001 },
]

/** To all that the cluster's Services have asked for and to a few other places, by every protocol, from everybody. */
export function packetsTo(cluster: ClusterManifests): readonly Packet[] {
  const aims = [...blindAims, ...cluster.services.flatMap((candidate) => aimsOf(candidate))]
  const distinct = new Map(aims.map((aim) => [`${aim.destination} ${aim.port}`, aim]))
  const clients = (['podLocal', 'podRemote', 'host', 'external'] as const).flatMap((from) =>
    sources[from].map((source) => ({ from, source })),
  )
  return [...distinct.values()].flatMap((aim) =>
    protocols.flatMap((chosen) => clients.map((client) => ({ ...client, protocol: chosen, ...aim }))),
  )
}
