import { cidrSize, type Ipv4Cidr } from '../../base/cidr.ts'
import { ipv4FromNumber, ipv4ToNumber } from '../../base/ip.ts'
import { type JsonValue, type KubeObject, listAt, numberAt, objectAt, textAt } from './objects.ts'

const nodePorts = { first: 30_000, last: 32_767 }

/** Gives a service the cluster address and node ports that its type calls for; what it already has it keeps. */
export function allocateService(service: KubeObject, others: readonly KubeObject[], range: Ipv4Cidr): KubeObject {
  const type = textAt(service, 'spec', 'type')
  if (type === 'ExternalName') return service
  const spec = objectAt(service, 'spec')
  const clusterIP = textAt(spec, 'clusterIP') || freeAddress(others, range)
  const clusterIPs = listAt(spec, 'clusterIPs').length > 0 ? listAt(spec, 'clusterIPs') : [clusterIP]
  const hasNodePorts = type === 'NodePort' || type === 'LoadBalancer'
  const ports = hasNodePorts ? withNodePorts(listAt(spec, 'ports'), others) : listAt(spec, 'ports')
  return { ...service, spec: { ...spec, clusterIP, clusterIPs, ...(ports.length > 0 ? { ports } : {}) } }
}

function freeAddress(services: readonly KubeObject[], range: Ipv4Cidr): string {
  const used = new Set(services.map((service) => textAt(service, 'spec', 'clusterIP')))
  const first = ipv4ToNumber(range.address)
  // Neither the network's own address, nor the last; the first usable is the API's own, 10 stays free for DNS.
  for (let offset = 11; offset < cidrSize(range) - 1; offset += 1) {
    const address = ipv4FromNumber(first + offset)
    if (!used.has(address)) return address
  }
  throw new Error(`every address of the service range is taken (${services.length} services)`)
}

function withNodePorts(ports: readonly JsonValue[], services: readonly KubeObject[]): readonly JsonValue[] {
  const used = new Set(
    [...services.flatMap((service) => listAt(service, 'spec', 'ports')), ...ports].map((port) =>
      numberAt(port, 'nodePort'),
    ),
  )
  return ports.map((port) => {
    if (numberAt(port, 'nodePort') !== undefined) return port
    let candidate = nodePorts.first
    while (used.has(candidate) && candidate < nodePorts.last) candidate += 1
    used.add(candidate)
    return { ...objectAt(port), nodePort: candidate }
  })
}
