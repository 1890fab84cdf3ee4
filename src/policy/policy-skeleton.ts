import { noElements } from '../nftables/elements.ts'
import type { BaseChain, Chain, NftSet, Rule } from '../nftables/model.ts'
import {
  concat,
  constant,
  differs,
  dispatch,
  equals,
  type Expression,
  isIn,
  isNotIn,
  isProtocol,
  type Statement,
  verdict,
} from '../nftables/statement.ts'
import { acceptAndLearn, allowedFlows } from './allowed-flows.ts'
import { views } from './flow-views.ts'
import { directions, type PolicyDirection } from './policy-table.ts'
import {
  allowedChains,
  allowedFlowsNames,
  deniedChains,
  deniedFlowKey,
  deniedFlowsNames,
  dispatchNames,
  dropsNames,
  type FlowWay,
  flowWays,
  itselfName,
  sourcesName,
  spoofedChain,
} from './rule-names.ts'

/** Long enough to be asked for, short enough that what is listed is going on. */
const deniedFlowSeconds = 60
/** A pod that scans a network fills it; then those that are in it stay until they end. */
const maxDeniedFlows = 4096

const dispatchMap: NftSet = { key: ['ifname'], data: 'verdict', elements: noElements }
const drops: NftSet = { key: ['ifname'], counted: true, elements: noElements }
const deniedFlows: NftSet = {
  key: deniedFlowKey,
  learned: { timeoutSeconds: deniedFlowSeconds },
  size: maxDeniedFlows,
  counted: true,
  elements: noElements,
}

/** What is there however many pods and policies there are. */
export function skeletonSets(): ReadonlyMap<string, NftSet> {
  return new Map<string, NftSet>([
    ...Object.values(dispatchNames).flatMap(({ there, back }) =>
      [there, back].map((name) => [name, dispatchMap] as const),
    ),
    [sourcesName, { key: ['ifname', 'ipv4_addr'], elements: noElements }],
    [itselfName, { key: ['ifname', 'ifname'], elements: noElements }],
    ...Object.values(dropsNames).map((name) => [name, drops] as const),
    ...Object.values(deniedFlowsNames).map((name) => [name, deniedFlows] as const),
    ...Object.values(allowedFlowsNames).map((name) => [name, allowedFlows] as const),
  ])
}

/** `localPods` is the pattern of the host's ends of pods' interfaces, such as `oci*`. */
export function skeletonChains(localPods: string): ReadonlyMap<string, Chain> {
  const isSpoofed: Rule = [
    equals('iifname', localPods),
    isNotIn(concat('iifname', 'ip saddr'), sourcesName),
    verdict(`goto ${spoofedChain}`),
  ]
  // Every interface that is known is in the map and ends the chain there.
  const judge = (direction: PolicyDirection, way: FlowWay): readonly Rule[] => {
    const { interface: selector } = views[direction][way]
    return [
      [dispatch(selector, dispatchNames[direction][way])],
      [equals(selector, localPods), verdict(`goto ${deniedChains[direction][way]}`)],
    ]
  }
  const forward = (direction: PolicyDirection): readonly Rule[] => [
    isError,
    comesBack,
    [equals('ct direction', 'reply'), verdict(`goto ${repliesChains[direction]}`)],
    ...judge(direction, 'there'),
  ]
  return new Map<string, Chain>([
    // Before conntrack, or forged packets would fill its table.
    ['spoofing', { base: base('prerouting', -300), rules: [isSpoofed] }],
    // Two base chains on one hook: accepting what a pod sends does not accept it at the pod that gets it.
    ['forward-from-pod', { base: base('forward', 0), rules: forward('egress') }],
    ['forward-to-pod', { base: base('forward', 10), rules: forward('ingress') }],
    // To the node itself. What the node sends is in neither hook: probes always reach its pods, and are answered.
    ['input', { base: base('input', 0), rules: [answersTheNode, isError, ...judge('egress', 'there')] }],
    [repliesChains.egress, { rules: judge('egress', 'back') }],
    [repliesChains.ingress, { rules: judge('ingress', 'back') }],
    [spoofedChain, { rules: [[isIn('iifname', dropsNames.spoofed)], [verdict('drop')]] }],
    ...directions.map((direction) => [allowedChains[direction], { rules: acceptAndLearn(direction) }] as const),
    ...directions.flatMap((direction) =>
      flowWays.map((way) => [deniedChains[direction][way], deniedChain(direction, way)] as const),
    ),
  ])
}

/**
 * Replies are judged like what they answer: whoever was asked once could go on to send for ever, and whoever sends keeps
 * conntrack's entry alive. TCP is no exception: a server's own stack needs no acknowledgements.
 */
const repliesChains: Readonly<Record<PolicyDirection, string>> = {
  egress: 'egress-replies',
  ingress: 'ingress-replies',
}

/** Rules of their own, so that what cannot be counted or learned (the set is full) is dropped all the same. */
function deniedChain(direction: PolicyDirection, way: FlowWay): Chain {
  const learn = (key: Expression): Statement => ({ kind: 'learn', set: deniedFlowsNames[direction], key })
  const learns: Readonly<Record<FlowWay, readonly Rule[]>> = {
    there: [
      [equals('meta l4proto', withPorts), learn(concat('ip saddr', 'ip daddr', 'meta l4proto', 'th dport'))],
      [differs('meta l4proto', withPorts), learn(concat('ip saddr', 'ip daddr', 'meta l4proto', constant(0)))],
    ],
    back: [
      [equals('meta l4proto', withPorts), learn(concat('ip daddr', 'ip saddr', 'meta l4proto', 'th sport'))],
      [differs('meta l4proto', withPorts), learn(concat('ip daddr', 'ip saddr', 'meta l4proto', constant(0)))],
    ],
  }
  const counts: Rule = [isIn(views[direction][way].interface, dropsNames[direction])]
  return { rules: [counts, ...learns[way], [verdict('drop')]] }
}
const withPorts = ['tcp', 'udp', 'sctp']

const answersTheNode: Rule = [equals('ct direction', 'reply'), equals('ct state', 'established'), verdict('accept')]
/** Of a flow, from whichever router: path MTU. What else is related are flows that a helper of conntrack expects. */
const isError: Rule = [isProtocol('icmp'), equals('ct state', 'related'), verdict('accept')]
const comesBack: Rule = [isIn(concat('iifname', 'oifname'), itselfName), verdict('accept')]

function base(hook: BaseChain['hook'], priority: number): BaseChain {
  return { type: 'filter', hook, priority, policy: 'accept' }
}
