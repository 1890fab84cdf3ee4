import type { Fd } from '../../linux/fd.ts'
import { withNetns } from '../../linux/netns.ts'
import { readRuleNames } from '../../linux/rule-names.ts'

/** Somebody else's redirection in a pod's namespace, by the names of its chains and tables. */
export interface ForeignRedirection {
  readonly installer: 'istio' | 'linkerd'
  /** One of them. */
  readonly name: string
}

/**
 * iptables' chains and nftables' tables of Istio (istio-iptables: ISTIO_OUTPUT and others; since 1.27 tables istio-proxy-nat
 * and others) and of Linkerd's proxy-init (PROXY_INIT_REDIRECT and others), whether an init container or a CNI plugin made them.
 */
const marks = [
  { installer: 'istio', chain: /^ISTIO_/, table: /^istio-(proxy|ambient)-/ },
  { installer: 'linkerd', chain: /^PROXY_INIT_/, table: /^linkerd-/ },
] as const

/** Looks by names alone, without a process. */
export function foreignRedirection(netns: Fd): ForeignRedirection | undefined {
  const isMarked = (chain: string): boolean => marks.some((mark) => mark.chain.test(chain))
  const seen = withNetns(netns, () => readRuleNames(isMarked, []))
  const chains = [...seen.nftablesChains, ...seen.legacyChains].map(({ chain }) => chain)
  for (const { installer, chain, table } of marks) {
    const name =
      chains.find((one) => chain.test(one)) ?? seen.nftablesTables.find((one) => table.test(one.table))?.table
    if (name !== undefined) return { installer, name }
  }
  return undefined
}
