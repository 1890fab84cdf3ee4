// Services in two layouts: ours, and a chain for each service and each endpoint as kube-proxy 1.36's nftables mode has them.
import { type Ipv4, ipv4FromNumber } from '../src/base/ip.ts'
import { type Endpoint, type Frontend, frontendKey } from '../src/proxy/service-table.ts'

const firstService = 0x0a60_0000
const firstEndpoint = 0x0a01_0000
const endpointAddresses = 60_000

export function serviceAddress(index: number): Ipv4 {
  return ipv4FromNumber(firstService + index)
}

function endpointsOf(index: number, count: number): readonly Endpoint[] {
  return Array.from({ length: count }, (_, number) => ({
    address: ipv4FromNumber(firstEndpoint + ((index * count + number) % endpointAddresses)),
    port: 8080,
  }))
}

/** A TCP service of a cluster IP; the first `absent` of its endpoints are not there. */
export function frontendOf(index: number, endpointCount: number, absent = 0): Frontend {
  const at = { kind: 'address', address: serviceAddress(index) } as const
  const target = { kind: 'forward', endpoints: endpointsOf(index, endpointCount).slice(absent) } as const
  return {
    key: frontendKey(at, 'TCP', 80),
    service: { namespace: 'bench', name: `s${index}`, portName: '' },
    origin: 'clusterIp',
    at,
    protocol: 'TCP',
    port: 80,
    inside: target,
    outside: target,
    masquerade: 'outside',
  }
}

/** Commands for `nft -f`. */
export function perServiceCommands(serviceCount: number, endpointCount: number): string {
  const lines = [
    'add table ip bench-proxy',
    'add chain ip bench-proxy mark-for-masquerade',
    'add rule ip bench-proxy mark-for-masquerade meta mark set meta mark or 0x4000',
    'add map ip bench-proxy service-ips { type ipv4_addr . inet_proto . inet_service : verdict; }',
    'add chain ip bench-proxy services',
    'add rule ip bench-proxy services ip daddr . meta l4proto . th dport vmap @service-ips',
    'add chain ip bench-proxy nat-prerouting { type nat hook prerouting priority -100; policy accept; }',
    'add rule ip bench-proxy nat-prerouting jump services',
  ]
  const elements: string[] = []
  for (let index = 0; index < serviceCount; index++) {
    const name = `service-${index}-bench/s${index}/tcp/`.replaceAll('/', '_')
    const address = serviceAddress(index)
    const endpoints = endpointsOf(index, endpointCount)
    const targets = endpoints.map((_, number) => `${number} : goto ${name}-endpoint-${number}`)
    endpoints.forEach(({ address: endpoint, port }, number) => {
      const chain = `ip bench-proxy ${name}-endpoint-${number}`
      lines.push(
        `add chain ${chain}`,
        `add rule ${chain} ip saddr ${endpoint} jump mark-for-masquerade`,
        `add rule ${chain} meta l4proto tcp dnat to ${endpoint}:${port}`,
      )
    })
    lines.push(
      `add chain ip bench-proxy ${name}`,
      `add rule ip bench-proxy ${name} ip daddr ${address} tcp dport 80 ip saddr != 10.0.0.0/8 jump mark-for-masquerade`,
      `add rule ip bench-proxy ${name} numgen random mod ${endpointCount} vmap { ${targets.join(', ')} }`,
    )
    elements.push(`${address} . tcp . 80 : goto ${name}`)
  }
  lines.push(`add element ip bench-proxy service-ips { ${elements.join(', ')} }`)
  return `${lines.join('\n')}\n`
}
