// Services as kube-proxy 1.36's nftables mode lays them out: a chain for each service and each endpoint, and a verdict map for
// each service. Commands for `nft -f`. Leaner than the original: no comments, no firewall chains, short names.
import { endpointsOf, serviceAddress, servicePort } from './service-objects.ts'
import type { Endpoint } from '../src/proxy/service-table.ts'

const table = 'ip bench-proxy'

/** All of it, where nothing is. */
export function perServiceTable(serviceCount: number, endpointCount: number): string {
  const lines = [
    `add table ${table}`,
    `add chain ${table} mark-for-masquerade`,
    `add rule ${table} mark-for-masquerade meta mark set meta mark or 0x4000`,
    `add chain ${table} masquerading`,
    `add rule ${table} masquerading meta mark and 0x4000 == 0 return`,
    `add rule ${table} masquerading meta mark set meta mark xor 0x4000`,
    `add rule ${table} masquerading masquerade fully-random`,
    `add map ${table} service-ips { type ipv4_addr . inet_proto . inet_service : verdict; }`,
    `add chain ${table} services`,
    `add rule ${table} services ip daddr . meta l4proto . th dport vmap @service-ips`,
    `add chain ${table} nat-prerouting { type nat hook prerouting priority -100; policy accept; }`,
    `add rule ${table} nat-prerouting jump services`,
    `add chain ${table} nat-output { type nat hook output priority -100; policy accept; }`,
    `add rule ${table} nat-output jump services`,
    `add chain ${table} nat-postrouting { type nat hook postrouting priority 100; policy accept; }`,
    `add rule ${table} nat-postrouting jump masquerading`,
  ]
  const elements: string[] = []
  for (let index = 0; index < serviceCount; index++) {
    lines.push(...chainsOf(index, endpointCount))
    elements.push(elementOf(index))
  }
  return joined([...lines, `add element ${table} service-ips { ${elements.join(', ')} }`])
}

export function perServiceAddition(index: number, endpointCount: number): string {
  return joined([...chainsOf(index, endpointCount), `add element ${table} service-ips { ${elementOf(index)} }`])
}

/** Takes the first endpoint of each of the first services away, or puts it back. */
export function perServiceFlip(serviceCount: number, endpointCount: number, isAbsent: boolean): string {
  const lines: string[] = []
  for (let index = 0; index < serviceCount; index++) {
    const all = endpointsOf(index, endpointCount)
    const first = all.slice(0, 1)
    if (!isAbsent) lines.push(...first.flatMap((endpoint) => endpointChain(index, endpoint)))
    lines.push(`flush chain ${table} ${serviceChain(index)}`, ...serviceRules(index, isAbsent ? all.slice(1) : all))
    if (!isAbsent) continue
    const gone = first.map((endpoint) => `${table} ${endpointChainName(index, endpoint)}`)
    lines.push(...gone.flatMap((chain) => [`flush chain ${chain}`, `delete chain ${chain}`]))
  }
  return joined(lines)
}

function chainsOf(index: number, endpointCount: number): readonly string[] {
  const endpoints = endpointsOf(index, endpointCount)
  return [
    ...endpoints.flatMap((endpoint) => endpointChain(index, endpoint)),
    `add chain ${table} ${serviceChain(index)}`,
    ...serviceRules(index, endpoints),
  ]
}

function serviceRules(index: number, endpoints: readonly Endpoint[]): readonly string[] {
  const rule = `add rule ${table} ${serviceChain(index)}`
  const targets = endpoints.map((endpoint, number) => `${number} : goto ${endpointChainName(index, endpoint)}`)
  return [
    `${rule} ip daddr ${serviceAddress(index)} tcp dport ${servicePort} ip saddr != 10.0.0.0/8 jump mark-for-masquerade`,
    `${rule} numgen random mod ${endpoints.length} vmap { ${targets.join(', ')} }`,
  ]
}

function endpointChain(index: number, endpoint: Endpoint): readonly string[] {
  const chain = `${table} ${endpointChainName(index, endpoint)}`
  return [
    `add chain ${chain}`,
    `add rule ${chain} ip saddr ${endpoint.address} jump mark-for-masquerade`,
    `add rule ${chain} meta l4proto tcp dnat to ${endpoint.address}:${endpoint.port}`,
  ]
}

function serviceChain(index: number): string {
  return `service-bench/s${index}/tcp/`
}

function endpointChainName(index: number, { address, port }: Endpoint): string {
  return `endpoint-bench/s${index}/tcp/__${address}/${port}`
}

function elementOf(index: number): string {
  return `${serviceAddress(index)} . tcp . ${servicePort} : goto ${serviceChain(index)}`
}

function joined(lines: readonly string[]): string {
  return `${lines.join('\n')}\n`
}
