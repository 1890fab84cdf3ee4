import { noElements } from '../nftables/elements.ts'
import type { BaseChain, Chain, NftSet, Rule } from '../nftables/model.ts'
import { concat, dispatch, equals, isIn, isNotIn, verdict } from '../nftables/statement.ts'
import { deniedChain, dispatchNames, itselfName, sourcesName } from './rule-names.ts'

/** What is there however many pods and policies there are. */
export function skeletonSets(): ReadonlyMap<string, NftSet> {
  return new Map<string, NftSet>([
    [dispatchNames.egress, { key: ['ifname'], data: 'verdict', elements: noElements }],
    [dispatchNames.ingress, { key: ['ifname'], data: 'verdict', elements: noElements }],
    [sourcesName, { key: ['ifname', 'ipv4_addr'], elements: noElements }],
    [itselfName, { key: ['ifname', 'ifname'], elements: noElements }],
  ])
}

/** `localPods` is the pattern of the host's ends of pods' interfaces, such as `oci*`. */
export function skeletonChains(localPods: string): ReadonlyMap<string, Chain> {
  const fromPod: Rule = [dispatch('iifname', dispatchNames.egress)]
  const toPod: Rule = [dispatch('oifname', dispatchNames.ingress)]
  const isSpoofed: Rule = [
    equals('iifname', localPods),
    isNotIn(concat('iifname', 'ip saddr'), sourcesName),
    verdict('drop'),
  ]
  return new Map<string, Chain>([
    // Before conntrack, or forged packets would fill its table.
    ['spoofing', { base: base('prerouting', -300), rules: [isSpoofed] }],
    // Two base chains on one hook: accepting what a pod sends does not accept it at the pod that gets it.
    ['forward-from-pod', { base: base('forward', 0), rules: [...settled, comesBack, fromPod] }],
    ['forward-to-pod', { base: base('forward', 10), rules: [...settled, comesBack, toPod] }],
    // To the node itself. What the node sends is in neither hook: probes always reach its pods.
    ['input', { base: base('input', 0), rules: [...settled, fromPod] }],
    [deniedChain, { rules: [[{ kind: 'counter' }, verdict('drop')]] }],
  ])
}

/**
 * Only answers are accepted for being part of a flow: every packet of the direction that opened it is judged anew, so that a
 * flow ends when its policy does. Errors about a flow (ICMP) are part of it.
 */
const settled: readonly Rule[] = [
  [equals('ct direction', 'reply'), equals('ct state', 'established'), verdict('accept')],
  [equals('ct state', 'related'), verdict('accept')],
]
const comesBack: Rule = [isIn(concat('iifname', 'oifname'), itselfName), verdict('accept')]

function base(hook: BaseChain['hook'], priority: number): BaseChain {
  return { type: 'filter', hook, priority, policy: 'accept' }
}
