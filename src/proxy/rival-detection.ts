import { enumerate, iptablesChains, type RuleNamesSeen, tablePhrases } from '../nftables/foreign-rules.ts'

// A kube-proxy beside us would translate the same packets: its nat chains sit at our priorities, and the first to bind
// a connection wins. Its names come from its own code (pkg/proxy/{iptables,ipvs,nftables}/proxier.go in Kubernetes).

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
  const chains = iptablesChains(seen, isRivalChain).map(({ chain, table, tool }) => {
    return `chain ${chain} in table ${table} (${tool})`
  })
  const links = seen.links.filter((name) => name === ipvsLink).map((name) => `interface ${name} (IPVS)`)
  return [...tablePhrases(seen, kubeProxyTable), ...chains, ...links]
}

/** The sentences to refuse with; undefined when nothing stands in the way. */
export function refusalBesideRivals(rivals: readonly string[]): string | undefined {
  if (rivals.length === 0) return undefined
  return (
    `found ${enumerate(rivals)}: kube-proxy runs here, or ran here and left its rules. Two proxies would translate the same ` +
    'packets, so this one does not start. Either keep kube-proxy and leave this proxy off, or remove the kube-proxy ' +
    'DaemonSet and then its rules on this node, with "kube-proxy --cleanup" or a reboot'
  )
}
