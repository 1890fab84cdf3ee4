// Packet rules of the shape that kube-proxy gives a node, for tests that run beside it: the same hooks, chain names,
// marks and order of decisions. No endpoint is chosen by affinity, nothing is refused, and there is IPv4 only.

export type KubeProtocol = 'tcp' | 'udp'

/** A Service with one port, of both protocols. */
export interface KubeService {
  readonly name: string
  readonly clusterIp: string
  readonly nodePort: number
  readonly policy: 'Cluster' | 'Local'
  readonly backends: readonly string[]
  /** Those of `backends` that are on this node. */
  readonly localBackends: readonly string[]
}

export interface KubeRulesOptions {
  readonly services: readonly KubeService[]
  /** Where pods' addresses are from: others that go to a ClusterIP are masqueraded. */
  readonly clusterCidr: string
  readonly port: number
  readonly backendPort: number
}

const protocols: readonly KubeProtocol[] = ['tcp', 'udp']
const [masqueradeMark, dropMark] = ['0x4000', '0x8000']

/** A port of a Service: what has chains of its own. */
interface ServicePort extends KubeService {
  readonly protocol: KubeProtocol
  /** As kube-proxy's hashes, in capitals and digits. */
  readonly hash: string
}

function portsOf(services: readonly KubeService[]): readonly ServicePort[] {
  return services.flatMap((service) =>
    protocols.map((protocol) => ({
      ...service,
      protocol,
      hash: `${service.name}${protocol}`.toUpperCase().replace(/[^A-Z0-9]/g, '2'),
    })),
  )
}

const endpointHash = (hash: string, backend: string): string => `${hash}${backend.replaceAll('.', '2')}`

/** Input of iptables-restore, of either kind. */
export function iptablesRules(options: KubeRulesOptions): string {
  const nat = portsOf(options.services).map((port) => natOfPort(port, options))
  const chains = [
    'KUBE-SERVICES',
    'KUBE-NODEPORTS',
    'KUBE-MARK-MASQ',
    'KUBE-POSTROUTING',
    ...nat.flatMap((of) => of.chains),
  ]
  return [
    '*filter',
    ...[':KUBE-FORWARD - [0:0]', ':KUBE-FIREWALL - [0:0]'],
    '-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD',
    ...['-A INPUT -j KUBE-FIREWALL', '-A OUTPUT -j KUBE-FIREWALL'],
    `-A KUBE-FIREWALL -m mark --mark ${dropMark}/${dropMark} -j DROP`,
    '-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP',
    `-A KUBE-FORWARD -m mark --mark ${masqueradeMark}/${masqueradeMark} -j ACCEPT`,
    '-A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
    'COMMIT',
    '*nat',
    ...chains.map((chain) => `:${chain} - [0:0]`),
    ...['PREROUTING', 'OUTPUT'].map(
      (hook) => `-A ${hook} -m comment --comment "kubernetes service portals" -j KUBE-SERVICES`,
    ),
    '-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING',
    `-A KUBE-MARK-MASQ -j MARK --or-mark ${masqueradeMark}`,
    `-A KUBE-POSTROUTING -m mark ! --mark ${masqueradeMark}/${masqueradeMark} -j RETURN`,
    `-A KUBE-POSTROUTING -j MARK --xor-mark ${masqueradeMark}`,
    '-A KUBE-POSTROUTING -j MASQUERADE --random-fully',
    ...nat.flatMap((of) => of.rules),
    '-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS',
    'COMMIT',
    '',
  ].join('\n')
}

function natOfPort(
  service: ServicePort,
  { clusterCidr, port, backendPort }: KubeRulesOptions,
): {
  readonly chains: readonly string[]
  readonly rules: readonly string[]
} {
  const { clusterIp, nodePort, policy, backends, localBackends, protocol, hash } = service
  const [inside, external, local] = [`KUBE-SVC-${hash}`, `KUBE-EXT-${hash}`, `KUBE-SVL-${hash}`]
  const endpoint = (backend: string): string => `KUBE-SEP-${endpointHash(hash, backend)}`
  const balance = (chain: string, among: readonly string[]): readonly string[] =>
    among.map((backend, index) => {
      const left = among.length - index
      const chance = left === 1 ? '' : ` -m statistic --mode random --probability ${(1 / left).toFixed(10)}`
      return `-A ${chain} -m comment --comment "default/${service.name} -> ${backend}"${chance} -j ${endpoint(backend)}`
    })
  return {
    chains: [inside, external, ...(policy === 'Local' ? [local] : []), ...backends.map(endpoint)],
    rules: [
      `-A KUBE-SERVICES -d ${clusterIp}/32 -p ${protocol} -m ${protocol} --dport ${port} -j ${inside}`,
      `-A KUBE-NODEPORTS -p ${protocol} -m ${protocol} --dport ${nodePort} -j ${external}`,
      ...(policy === 'Cluster'
        ? [`-A ${external} -j KUBE-MARK-MASQ`, `-A ${external} -j ${inside}`]
        : [
            `-A ${external} -s ${clusterCidr} -j ${inside}`,
            `-A ${external} -m addrtype --src-type LOCAL -j KUBE-MARK-MASQ`,
            `-A ${external} -m addrtype --src-type LOCAL -j ${inside}`,
            `-A ${external} -j ${local}`,
            ...balance(local, localBackends),
          ]),
      `-A ${inside} ! -s ${clusterCidr} -d ${clusterIp}/32 -p ${protocol} -m ${protocol} --dport ${port} -j KUBE-MARK-MASQ`,
      ...balance(inside, backends),
      ...backends.flatMap((backend) => [
        `-A ${endpoint(backend)} -s ${backend}/32 -j KUBE-MARK-MASQ`,
        `-A ${endpoint(backend)} -p ${protocol} -m ${protocol} -j DNAT --to-destination ${backend}:${backendPort}`,
      ]),
    ],
  }
}

/** Input of nft: table ip kube-proxy. */
export function nftablesRules(options: KubeRulesOptions): string {
  const ports = portsOf(options.services)
  const { port } = options
  const byAddress = ports.map(
    ({ clusterIp, protocol, hash }) => `${clusterIp} . ${protocol} . ${port} : goto service-${hash}`,
  )
  const byNodePort = ports.map(({ nodePort, protocol, hash }) => `${protocol} . ${nodePort} : goto external-${hash}`)
  return `table ip kube-proxy {
${ports.map((of) => chainsOfPort(of, options)).join('\n')}
  map service-ips { type ipv4_addr . inet_proto . inet_service : verdict; elements = { ${byAddress.join(', ')} }; }
  map service-nodeports { type inet_proto . inet_service : verdict; elements = { ${byNodePort.join(', ')} }; }
  chain services {
    ip daddr . meta l4proto . th dport vmap @service-ips
    fib daddr type local ip daddr != 127.0.0.0/8 meta l4proto . th dport vmap @service-nodeports
  }
  chain mark-for-masquerade { meta mark set meta mark | ${masqueradeMark}; }
  chain masquerading {
    meta mark & ${masqueradeMark} == 0 return
    meta mark set meta mark ^ ${masqueradeMark}
    masquerade fully-random
  }
  chain filter-forward { type filter hook forward priority 0; ct state invalid drop; }
  chain nat-prerouting { type nat hook prerouting priority -100; jump services; }
  chain nat-output { type nat hook output priority -100; jump services; }
  chain nat-postrouting { type nat hook postrouting priority 100; jump masquerading; }
}
`
}

function chainsOfPort(service: ServicePort, { clusterCidr, port, backendPort }: KubeRulesOptions): string {
  const { clusterIp, policy, backends, localBackends, protocol, hash } = service
  const endpoint = (backend: string): string => `endpoint-${endpointHash(hash, backend)}`
  const balance = (among: readonly string[]): string => {
    const choices = among.map((backend, index) => `${index} : goto ${endpoint(backend)}`)
    return `numgen random mod ${among.length} vmap { ${choices.join(', ')} }`
  }
  const external =
    policy === 'Cluster'
      ? `jump mark-for-masquerade
    goto service-${hash}`
      : `ip saddr ${clusterCidr} goto service-${hash}
    fib saddr type local jump mark-for-masquerade
    fib saddr type local goto service-${hash}
    ${balance(localBackends)}`
  return `${backends
    .map(
      (backend) => `  chain ${endpoint(backend)} {
    ip saddr ${backend} jump mark-for-masquerade
    meta l4proto ${protocol} dnat to ${backend}:${backendPort}
  }`,
    )
    .join('\n')}
  chain service-${hash} {
    ip daddr ${clusterIp} ${protocol} dport ${port} ip saddr != ${clusterCidr} jump mark-for-masquerade
    ${balance(backends)}
  }
  chain external-${hash} {
    ${external}
  }`
}
