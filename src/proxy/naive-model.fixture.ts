import type {
  ClusterManifests,
  Decision,
  EndpointManifest,
  Packet,
  PortManifest,
  ServiceManifest,
} from './manifests.fixture.ts'

/**
 * What shall happen to one packet, asked of the bare objects: written down from reference/services.md section 1, sentence by
 * sentence, for IPv4. It shares nothing with the resolver, which it is there to contradict.
 */
export function decide(cluster: ClusterManifests, packet: Packet): Decision {
  const door = findDoor(cluster, packet)
  if (door === undefined) return { kind: 'pass' }
  if (!isAdmitted(door, cluster, packet)) return { kind: 'drop' }

  const endpoints = endpointsOf(cluster, door)
  const clusterList = clusterEndpoints(endpoints, cluster)
  const localList = localEndpoints(endpoints)
  if (clusterList.length === 0) return { kind: 'reject' }

  const { spec } = door.service
  const isOnThisNode = packet.from === 'podLocal' || packet.from === 'host'
  let list = clusterList
  let isMasqueraded: boolean
  if (door.kind === 'clusterIp') {
    if (spec.internalTrafficPolicy === 'Local') list = localList
    isMasqueraded = !isOnThisNode
  } else if (spec.externalTrafficPolicy === 'Local') {
    if (!isOnThisNode) list = localList
    isMasqueraded = packet.from === 'host'
  } else {
    isMasqueraded = true
  }
  if (list.length === 0) return { kind: 'drop' }

  const affinitySeconds = affinityOf(door.service)
  return {
    kind: 'forward',
    to: list
      .map(({ address, port }) => {
        const isHairpin = address === packet.source
        // What stays on the node is not on its way out, where sources are changed.
        const staysHere = address === cluster.node.address && packet.from !== 'host'
        return { endpoint: `${address}:${port}`, sourceSeen: sourceSeen((isMasqueraded || isHairpin) && !staysHere) }
      })
      .toSorted((a, b) => (a.endpoint < b.endpoint ? -1 : 1)),
    ...(affinitySeconds !== undefined && { affinitySeconds }),
  }
}

function sourceSeen(isMasqueraded: boolean): 'own' | 'masqueraded' {
  return isMasqueraded ? 'masqueraded' : 'own'
}

// Frontends

interface Door {
  readonly kind: 'clusterIp' | 'loadBalancer' | 'externalIp' | 'nodePort'
  readonly service: ServiceManifest
  readonly port: PortManifest
}

/** Addresses come before node ports; of several Services the oldest, then the first by name; of one Service the first port. */
function findDoor(cluster: ClusterManifests, packet: Packet): Door | undefined {
  const age = ({ metadata }: ServiceManifest): string =>
    `${metadata.creationTimestamp ?? 'never'} ${metadata.namespace}/${metadata.name}`
  const doors = cluster.services
    .filter(isServed)
    .toSorted((a, b) => (age(a) < age(b) ? -1 : 1))
    .flatMap((service) =>
      (service.spec.ports ?? [])
        .filter((port) => isPort(port.port) && (port.protocol ?? 'TCP') === packet.protocol)
        .map((port) => ({ service, port })),
    )
  const ofAddress = (kind: Door['kind'], addresses: (service: ServiceManifest) => readonly string[]): Door[] =>
    doors
      .filter(({ service, port }) => port.port === packet.port && addresses(service).includes(packet.destination))
      .map((door) => ({ ...door, kind }))
  const byAddress = [
    ...ofAddress('clusterIp', clusterIps),
    ...ofAddress('loadBalancer', virtualIps),
    ...ofAddress('externalIp', ({ spec }) => spec.externalIPs ?? []),
  ]
  if (isUsable(packet.destination)) {
    for (const { service, port } of doors) {
      const found = byAddress.find((door) => door.service === service && door.port === port)
      if (found !== undefined) return found
    }
  }
  if (packet.destination !== cluster.node.address || !isPort(packet.port)) return undefined
  const door = doors.find(({ port }) => port.nodePort === packet.port)
  return door === undefined ? undefined : { ...door, kind: 'nodePort' }
}

function isServed(service: ServiceManifest): boolean {
  const ip = service.spec.clusterIP ?? service.spec.clusterIPs?.[0] ?? ''
  if (isLabelledForOthers(service) || service.spec.type === 'ExternalName' || ip === '' || ip === 'None') return false
  const usable = clusterIps(service)
  return usable.some((address) => !address.includes(':')) || usable.length === 0
}

function isLabelledForOthers(object: {
  readonly metadata: { readonly labels?: Readonly<Record<string, string>> }
}): boolean {
  const labels = Object.keys(object.metadata.labels ?? {})
  return (
    labels.includes('service.kubernetes.io/service-proxy-name') || labels.includes('service.kubernetes.io/headless')
  )
}

function clusterIps({ spec }: ServiceManifest): readonly string[] {
  const all = spec.clusterIPs ?? [spec.clusterIP ?? '']
  return all.filter((address) => isUsable(address) || address.startsWith('fd'))
}

function virtualIps({ status }: ServiceManifest): readonly string[] {
  const ingress = status?.loadBalancer.ingress ?? []
  return ingress.flatMap(({ ip, ipMode }) => (ip !== undefined && (ipMode ?? 'VIP') === 'VIP' ? [ip] : []))
}

function isAdmitted({ kind, service }: Door, cluster: ClusterManifests, packet: Packet): boolean {
  const ranges = service.spec.loadBalancerSourceRanges ?? []
  // Ranges of the other family alone do not restrict this one; an unreadable one admits nobody.
  const ours = ranges.filter((range) => !range.includes(':'))
  if (kind !== 'loadBalancer' || ours.length === 0) return true
  const isIn = (address: string): boolean => ours.some((range) => isWithin(address, range))
  return isIn(packet.source) || (virtualIps(service).includes(packet.source) && isIn(cluster.node.address))
}

function affinityOf({ spec }: ServiceManifest): number | undefined {
  if (spec.sessionAffinity !== 'ClientIP') return undefined
  const seconds = spec.sessionAffinityConfig?.clientIP.timeoutSeconds ?? 10_800
  return seconds >= 1 && seconds <= 86_400 ? seconds : 10_800
}

// Endpoints

interface Candidate {
  readonly address: string
  readonly port: number
  readonly isLocal: boolean
  readonly isReady: boolean
  readonly isDraining: boolean
  readonly endpoint: EndpointManifest
}

function endpointsOf(cluster: ClusterManifests, { service, port }: Door): readonly Candidate[] {
  const candidates: Candidate[] = []
  for (const slice of cluster.slices.toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))) {
    if (slice.metadata.namespace !== service.metadata.namespace || slice.addressType !== 'IPv4') continue
    if (slice.metadata.labels?.['kubernetes.io/service-name'] !== service.metadata.name) continue
    if (isLabelledForOthers(slice)) continue
    for (const { name, protocol = 'TCP', port: number } of slice.ports ?? []) {
      if (name !== (port.name ?? '') || protocol !== (port.protocol ?? 'TCP') || !isPort(number)) continue
      for (const endpoint of slice.endpoints ?? []) {
        const address = endpoint.addresses?.find(isUsable)
        if (address === undefined) continue
        const { ready = true, serving = true, terminating = false } = endpoint.conditions ?? {}
        const isLocal = endpoint.nodeName === cluster.node.name
        candidates.push({
          ...{ address, port: number, isLocal, endpoint },
          isReady: ready,
          isDraining: !ready && serving && terminating,
        })
      }
    }
  }
  return candidates.filter((candidate) => bestOfItsAddress(candidate, candidates) === candidate)
}

/** An endpoint in two slices counts once: rather as local, then rather as ready, then rather as draining, then as first found. */
function bestOfItsAddress({ address, port }: Candidate, all: readonly Candidate[]): Candidate | undefined {
  let same = all.filter((other) => other.address === address && other.port === port)
  for (const quality of ['isLocal', 'isReady', 'isDraining'] as const)
    if (same.some((candidate) => candidate[quality])) same = same.filter((candidate) => candidate[quality])
  return same[0]
}

/** Ready ones within the topology; when there is no ready one, those that terminate and still serve. */
function clusterEndpoints(all: readonly Candidate[], { node }: ClusterManifests): readonly Candidate[] {
  const ready = all.filter(({ isReady }) => isReady)
  if (ready.length === 0) return all.filter(({ isDraining }) => isDraining)
  const nodeHints = ({ endpoint }: Candidate): string[] => (endpoint.hints?.forNodes ?? []).map(({ name }) => name)
  const zoneHints = ({ endpoint }: Candidate): string[] => (endpoint.hints?.forZones ?? []).map(({ name }) => name)
  const forNode = ready.filter((candidate) => nodeHints(candidate).includes(node.name))
  if (ready.every((candidate) => nodeHints(candidate).length > 0) && forNode.length > 0) return forNode
  const forZone = ready.filter((candidate) => node.zone !== undefined && zoneHints(candidate).includes(node.zone))
  if (ready.every((candidate) => zoneHints(candidate).length > 0) && forZone.length > 0) return forZone
  return ready
}

/** Ready ones on this node; when there is none, those on this node that terminate and still serve. */
function localEndpoints(all: readonly Candidate[]): readonly Candidate[] {
  const local = all.filter(({ isLocal }) => isLocal)
  const ready = local.filter(({ isReady }) => isReady)
  return ready.length > 0 ? ready : local.filter(({ isDraining }) => isDraining)
}

// What an API server would have refused

function isPort(port: number | undefined): port is number {
  return port !== undefined && Number.isInteger(port) && port > 0 && port < 65_536
}

function isUsable(address: string): boolean {
  if (!/^\d+\.\d+\.\d+\.\d+$/.test(address)) return false
  return !/^(0|127|22[4-9]|23\d|24\d|25\d)\.|^169\.254\./.test(address)
}

function isWithin(address: string, range: string): boolean {
  const [first = '', length = ''] = range.split('/')
  if (!/^\d+$/.test(length)) return false
  const bits = (text: string): string =>
    text
      .split('.')
      .map((octet) => Number(octet).toString(2).padStart(8, '0'))
      .join('')
  return bits(address).slice(0, Number(length)) === bits(first).slice(0, Number(length))
}
