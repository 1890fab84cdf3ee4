import type { Decision, EndpointManifest, Packet, ServiceManifest, SliceManifest } from './manifests.fixture.ts'
import { decide } from './naive-model.fixture.ts'
import { resolveManifests } from './resolve-manifests.fixture.ts'
import { decideByTable } from './table-decision.fixture.ts'

// One Service x/web with a port 80, whose pods listen on 8080, seen from the node `here` (10.0.0.5, zone z1).

export const node = { name: 'here', zone: 'z1', address: '10.0.0.5' }
export const addresses = {
  here: '10.0.1.1',
  here2: '10.0.1.2',
  there: '10.0.2.1',
  there2: '10.0.2.2',
  outside: '192.0.2.50',
} as const
type EndpointName = keyof typeof addresses

type Conditions = NonNullable<EndpointManifest['conditions']>
type Hints = NonNullable<EndpointManifest['hints']>
export const unready: Conditions = { ready: false, serving: false, terminating: false }
export const draining: Conditions = { ready: false, serving: true, terminating: true }
export const dying: Conditions = { ready: false, serving: false, terminating: true }

export function at(name: EndpointName, conditions?: Conditions, hints?: Hints): EndpointManifest {
  const nodeName = name.startsWith('here') ? 'here' : 'there'
  return {
    addresses: [addresses[name]],
    ...(name !== 'outside' && { nodeName }),
    ...(conditions !== undefined && { conditions }),
    ...(hints !== undefined && { hints }),
  }
}

export const forNode = (...names: readonly string[]): Hints => ({ forNodes: names.map((name) => ({ name })) })
export const forZone = (...names: readonly string[]): Hints => ({ forZones: names.map((name) => ({ name })) })

export function web(spec: ServiceManifest['spec'] = {}, vips: readonly object[] = []): ServiceManifest {
  return {
    metadata: { namespace: 'x', name: 'web' },
    spec: { clusterIP: '10.96.0.1', ports: [{ port: 80, nodePort: 30_001 }], externalIPs: ['203.0.113.1'], ...spec },
    status: { loadBalancer: { ingress: vips } },
  }
}

export function slice(endpoints: readonly EndpointManifest[], change: Partial<SliceManifest> = {}): SliceManifest {
  return {
    metadata: { namespace: 'x', name: 'web-1', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    ports: [{ name: '', port: 8080 }],
    endpoints,
    ...change,
  }
}

const sources = { podLocal: '10.0.1.99', podRemote: '10.0.2.99', host: '10.0.0.5', external: '192.0.2.7' }
export const doors = {
  'the cluster IP': { destination: '10.96.0.1', port: 80 },
  'the node port': { destination: '10.0.0.5', port: 30_001 },
  'the external IP': { destination: '203.0.113.1', port: 80 },
  'the load balancer': { destination: '198.51.100.1', port: 80 },
} as const

export function packet(from: Packet['from'], to: keyof typeof doors, change: Partial<Packet> = {}): Packet {
  return { from, source: sources[from], ...doors[to], protocol: 'TCP', ...change }
}

/** `to here, there as itself`, `to there as the node`, `reject`. */
function say(decision: Decision): string {
  if (decision.kind !== 'forward') return decision.kind
  const name = (endpoint: string): string =>
    Object.entries(addresses).find(([, address]) => `${address}:8080` === endpoint)?.[0] ?? endpoint
  const as = { own: 'as itself', masqueraded: 'as the node' }
  const groups = (['own', 'masqueraded'] as const).map((seen) => {
    const names = decision.to.filter(({ sourceSeen }) => sourceSeen === seen).map(({ endpoint }) => name(endpoint))
    return names.length === 0 ? '' : `to ${names.join(', ')} ${as[seen]}`
  })
  const affinity = decision.affinitySeconds === undefined ? [] : [`for ${decision.affinitySeconds} s`]
  return [...groups.filter((group) => group !== ''), ...affinity].join(' ')
}

export type Row = readonly [
  sentence: string,
  service: ServiceManifest,
  /** Endpoints of the Service's one slice, or whole slices. */
  given: readonly EndpointManifest[] | readonly SliceManifest[],
  packet: Packet,
  expected: string,
]

/** What happens to the packet, as `say` puts it. */
export function verdicts(
  service: ServiceManifest,
  given: Row[2],
  packet: Packet,
): { readonly byTable: string; readonly byModel: string } {
  const slices = given.filter((one): one is SliceManifest => 'addressType' in one)
  const endpoints = given.filter((one): one is EndpointManifest => !('addressType' in one))
  const cluster = { services: [service], slices: slices.length > 0 ? slices : [slice(endpoints)], node }
  return {
    byTable: say(decideByTable(resolveManifests(cluster), packet)),
    byModel: say(decide(cluster, packet)),
  }
}

export const both = [at('here'), at('there')]
/** An external traffic policy. */
export const local: ServiceManifest['spec'] = { externalTrafficPolicy: 'Local' }
export const vip = { ip: '198.51.100.1' }
