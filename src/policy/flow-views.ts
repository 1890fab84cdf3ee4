import type { Selector } from '../nftables/statement.ts'
import type { PolicyDirection } from './policy-table.ts'
import type { FlowWay } from './rule-names.ts'

/** What of a packet says what of its flow. */
export interface FlowView {
  /** Of the pod whose policies are asked. */
  readonly interface: Selector
  /** Address of the other end. */
  readonly peer: Selector
  /** What the flow was opened to. */
  readonly port: 'th dport' | 'th sport'
}

export const views: Readonly<Record<PolicyDirection, Readonly<Record<FlowWay, FlowView>>>> = {
  egress: {
    there: { interface: 'iifname', peer: 'ip daddr', port: 'th dport' },
    back: { interface: 'oifname', peer: 'ip saddr', port: 'th sport' },
  },
  ingress: {
    there: { interface: 'oifname', peer: 'ip saddr', port: 'th dport' },
    back: { interface: 'iifname', peer: 'ip daddr', port: 'th sport' },
  },
}
