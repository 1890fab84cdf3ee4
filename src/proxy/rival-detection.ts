// A kube-proxy beside us would translate the same packets: its nat chains sit at our priorities, and the first to bind
// a connection wins. Its names come from its own code (pkg/proxy/{iptables,ipvs,nftables}/proxier.go in Kubernetes).

/** What is in the node's namespace, by name. */
export interface RuleNamesSeen {
  readonly nftablesTables: readonly { readonly family: string; readonly table: string }[]
  readonly nftablesChains: readonly { readonly family: string; readonly table: string; readonly chain: string }[]
  readonly legacyChains: readonly { readonly family: 4 | 6; readonly table: string; readonly chain: string }[]
  readonly links: readonly string[]
}

// kubelet makes KUBE-FIREWALL, KUBE-MARK-MASQ, KUBE-POSTROUTING and KUBE-KUBELET-CANARY without any kube-proxy, and
// `kube-proxy --cleanup` leaves KUBE-PROXY-CANARY, which translates nothing: those do not count.
const kubeProxyChains = new Set(['KUBE-SERVICES', 'KUBE-NODEPORTS', 'KUBE-EXTERNAL-SERVICES'])
const kubeProxyTable = 'kube-proxy'
const ipvsLink = 'kube-ipvs0'

/** What to look for: `readRuleNames(isRivalChain, rivalLinks)`. */
export function isRivalChain(chain: string): boolean {
  return kubeProxyChains.has(chain)
}
export const rivalLinks: readonly string[] = [ipvsLink]

/** What kube-proxy has or left on the node, one phrase each; empty: nothing. */
export function findRivals(seen: RuleNamesSeen): readonly string[] {
  const tables = seen.nftablesTables
    .filter(({ table }) => table === kubeProxyTable)
    .map(({ family, table }) => `table ${family} ${table} (nftables)`)
  const nft = seen.nftablesChains
    .filter(({ chain }) => isRivalChain(chain))
    .map(({ family, table, chain }) => chainPhrase(chain, table, family === 'ip6' ? 'ip6tables-nft' : 'iptables-nft'))
  const legacy = seen.legacyChains
    .filter(({ chain }) => isRivalChain(chain))
    .map(({ family, table, chain }) => chainPhrase(chain, table, family === 6 ? 'ip6tables-legacy' : 'iptables-legacy'))
  const links = seen.links.filter((name) => name === ipvsLink).map((name) => `interface ${name} (IPVS)`)
  return [...tables, ...nft, ...legacy, ...links]
}

function chainPhrase(chain: string, table: string, tool: string): string {
  return `chain ${chain} in table ${table} (${tool})`
}

const phrasesTold = 3

/** The sentences to refuse with; undefined when nothing stands in the way. */
export function refusalBesideRivals(rivals: readonly string[]): string | undefined {
  if (rivals.length === 0) return undefined
  const more = rivals.length - phrasesTold
  const found = [...rivals.slice(0, phrasesTold), ...(more > 0 ? [`${more} more`] : [])].join(', ')
  return (
    `found ${found}: kube-proxy runs here, or ran here and left its rules. Two proxies would translate the same ` +
    'packets, so this one does not start. Either keep kube-proxy and leave this proxy off, or remove the kube-proxy ' +
    'DaemonSet and then its rules on this node, with "kube-proxy --cleanup" or a reboot'
  )
}
