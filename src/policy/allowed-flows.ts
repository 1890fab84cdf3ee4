import { noElements } from '../nftables/elements.ts'
import type { NftSet, Rule } from '../nftables/model.ts'
import { concat, equals, type Expression, isIn, type Statement, verdict } from '../nftables/statement.ts'
import { views } from './flow-views.ts'
import type { PolicyDirection } from './policy-table.ts'
import { allowedFlowsNames, type FlowWay } from './rule-names.ts'

// Every packet is judged, replies too, and a hundred policies cost more than the rest of its way. So what they allowed is
// remembered until anything changes.

/**
 * Flows are judged anew so often: seldom enough to cost nothing, and soon enough that those that are over leave their place.
 * It is also how long a flow may outlive its policy when the agent dies after a change, before it has emptied the sets.
 */
const rememberedSeconds = 5
/** Emptying two full sets takes 6 ms, which an ADD may wait for. What finds no place is judged packet by packet. */
const maxFlows = 8192

export const allowedFlows: NftSet = {
  key: ['ifname', 'ipv4_addr', 'inet_proto', 'inet_service'],
  learned: { timeoutSeconds: rememberedSeconds, until: 'change' },
  size: maxFlows,
  elements: noElements,
}

/** All that the rules of a pod ask of a packet: flows between the same ends to the same port are one. */
function flowOf(direction: PolicyDirection, way: FlowWay): Expression {
  const { interface: selector, peer, port } = views[direction][way]
  return concat(selector, peer, 'meta l4proto', port)
}

/** What a pod's own chain begins with. */
export function acceptKnown(direction: PolicyDirection, way: FlowWay): Rule {
  return [isIn(flowOf(direction, way), allowedFlowsNames[direction]), verdict('accept')]
}

/**
 * For what policies allow. Only flows that were answered are remembered: whoever floods fills no set. Protocols without
 * ports have other fields where the ports would be. The rules are two, so that what finds the set full is accepted all the
 * same.
 */
export function acceptAndLearn(direction: PolicyDirection): readonly Rule[] {
  const learn: Statement = { kind: 'learn', set: allowedFlowsNames[direction], key: flowOf(direction, 'there') }
  return [
    [equals('ct state', 'established'), equals('meta l4proto', ['tcp', 'udp', 'sctp']), learn],
    [verdict('accept')],
  ]
}
