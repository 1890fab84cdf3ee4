import type { Cidr } from '../base/cidr.ts'
import { familyOf, type Ip } from '../base/ip.ts'
import type { EndpointSlice } from '../kube/endpoint-slice.ts'
import type { Service, ServicePort, TrafficPolicy } from '../kube/service.ts'
import { type AdmittedSources, admittedSources, virtualIps } from './admitted-sources.ts'
import { endpointLists, type EndpointLists } from './endpoint-lists.ts'
import {
  type Frontend,
  frontendKey,
  type FrontendOrigin,
  type FrontendPlace,
  type HealthCheck,
  type Masquerade,
  type ProxyNode,
  type ServiceProblem,
  type Target,
} from './service-table.ts'

/** All that one Service asks for, before other Services' claims to the same frontends are looked at. */
export interface ResolvedService {
  readonly frontends: ReadonlyMap<string, Frontend>
  readonly healthCheck?: HealthCheck
  readonly problems: readonly ServiceProblem[]
  /** For the next call; absent: it is not served. */
  readonly sources?: AdmittedSources
}

/** Another proxy, or none, is to serve what has these labels (well-known labels, kubernetes.io/docs/reference). */
const othersLabels = ['service.kubernetes.io/service-proxy-name', 'service.kubernetes.io/headless'] as const

export function isForOthers(object: {
  readonly metadata: { readonly labels: Readonly<Record<string, string>> }
}): boolean {
  return othersLabels.some((label) => label in object.metadata.labels)
}

/** `slices` are the Service's, sorted by name; `earlier`: what became of it the last time. */
export function resolveService(
  service: Service,
  slices: readonly EndpointSlice[],
  node: ProxyNode,
  earlier?: ResolvedService,
): ResolvedService {
  if (!isServed(service)) return { frontends: new Map(), problems: [] }
  const ofFamily = `IPv${node.family}`
  const told = slices.filter(
    (slice) => (slice.addressType === ofFamily || slice.addressType === 'unknown') && !isForOthers(slice),
  )
  const ours = told.filter(({ addressType }) => addressType === ofFamily)
  const problems = [...ownProblems(service), ...told.flatMap((slice) => sliceProblems(service, slice))]
  const frontends = new Map<string, Frontend>()
  if (!hasFamily(service, node)) return { frontends, problems }
  const sources = admittedSources(service, node, earlier?.sources)
  const ports = service.ports.map((port) => ({ port, lists: endpointLists(port, ours, node) }))
  for (const [index, { port, lists }] of ports.entries()) {
    const own = portFrontends(service, port, lists, sources)
    for (const frontend of own) {
      const other = frontends.get(frontend.key)
      if (other === undefined) frontends.set(frontend.key, frontend)
      // Within one port an address may be a load balancer's and an external one at once: the first is the stricter.
      else if (!own.includes(other)) problems.push(repeatedPort(service, index, frontend.key))
    }
  }
  const port = service.healthCheckNodePort
  const hasHealthCheck = service.type === 'LoadBalancer' && service.externalTrafficPolicy === 'Local'
  if (!hasHealthCheck || port === undefined) return { frontends, problems, sources }
  const localEndpoints = new Set(ports.flatMap(({ lists }) => lists.localReady)).size
  return { frontends, problems, sources, healthCheck: { service: nameOf(service), port, localEndpoints } }
}

function isServed(service: Service): boolean {
  return !isForOthers(service) && !service.headless && service.type !== 'ExternalName'
}

// A Service has node ports and all else only in the families of its cluster IPs. An unusable cluster IP tells none.
function hasFamily({ clusterIps }: Service, { family }: ProxyNode): boolean {
  return clusterIps.length === 0 || clusterIps.some((address) => familyOf(address) === family)
}

function portFrontends(
  service: Service,
  port: ServicePort,
  lists: EndpointLists,
  { node, blocks }: AdmittedSources,
): readonly Frontend[] {
  const cluster: Target = lists.cluster.length > 0 ? { kind: 'forward', endpoints: lists.cluster } : { kind: 'reject' }
  const local: Target =
    lists.local.length > 0
      ? { kind: 'forward', endpoints: lists.local }
      : { kind: cluster.kind === 'reject' ? 'reject' : 'drop' }
  const internal = internalTreatment(service.internalTrafficPolicy, cluster, local)
  const external = externalTreatment(service.externalTrafficPolicy, cluster, local)
  const portName = { ...nameOf(service), portName: port.name }
  const ofFamily = (address: Ip): boolean => familyOf(address) === node.family
  const at = (origin: FrontendOrigin, place: FrontendPlace, number: number, sources?: readonly Cidr[]): Frontend => ({
    key: frontendKey(place, port.protocol, number),
    service: portName,
    origin,
    at: place,
    protocol: port.protocol,
    port: number,
    ...(origin === 'clusterIp' ? internal : external),
    ...(service.affinityTimeoutSeconds !== undefined && { affinityTimeoutSeconds: service.affinityTimeoutSeconds }),
    ...(port.protocol === 'UDP' && { serving: lists.serving }),
    ...(sources !== undefined && { sources }),
  })
  const atAddress = (origin: FrontendOrigin, addresses: readonly Ip[], admitted?: readonly Cidr[]): Frontend[] =>
    addresses.map((address) => at(origin, { kind: 'address', address }, port.port, admitted))
  return [
    ...atAddress('clusterIp', service.clusterIps.filter(ofFamily)),
    ...atAddress('loadBalancer', virtualIps(service, node), blocks),
    ...atAddress('externalIp', service.externalIps.filter(ofFamily)),
    ...(port.nodePort === undefined ? [] : [at('nodePort', { kind: 'node' }, port.nodePort)]),
  ]
}

interface Treatment {
  readonly inside: Target
  readonly outside: Target
  readonly masquerade: Masquerade
}

function internalTreatment(policy: TrafficPolicy, cluster: Target, local: Target): Treatment {
  const target = policy === 'Local' ? local : cluster
  return { inside: target, outside: target, masquerade: 'outside' }
}

// Local keeps the client's address by staying on the node; who is on the node already needs no such favour.
function externalTreatment(policy: TrafficPolicy, cluster: Target, local: Target): Treatment {
  return policy === 'Local'
    ? { inside: cluster, outside: local, masquerade: 'host' }
    : { inside: cluster, outside: cluster, masquerade: 'all' }
}

function nameOf({ metadata }: Service): { readonly namespace: string; readonly name: string } {
  return { namespace: metadata.namespace, name: metadata.name }
}

function keyOf({ metadata }: Service): string {
  return `${metadata.namespace}/${metadata.name}`
}

function ownProblems(service: Service): readonly ServiceProblem[] {
  return service.problems.map((problem) => ({ service: keyOf(service), ...problem }))
}

function sliceProblems(service: Service, slice: EndpointSlice): readonly ServiceProblem[] {
  return slice.problems.map((problem) => ({ service: keyOf(service), slice: slice.metadata.name, ...problem }))
}

function repeatedPort(service: Service, index: number, key: string): ServiceProblem {
  return { service: keyOf(service), field: `spec.ports[${index}]`, problem: `${key} is another of its ports already` }
}
