import { isDeepStrictEqual } from 'node:util'
import { formatFieldErrors } from '../../base/schema.ts'
import { objectKey } from '../../kube/object.ts'
import type { PolicyPod } from '../../kube/policy-pod.ts'
import { type ServiceProtocol, serviceProtocols } from '../../kube/service-port.ts'
import { decideFlow, type FlowDecision, type FlowTables, type Traffic } from '../../policy/decide-flow.ts'
import { PolicyIndex } from '../../policy/policy-index.ts'
import type { DirectionPolicy, PolicyDirection, PolicyTable, PortRange } from '../../policy/policy-table.ts'
import { type FlowEnd, unscheduled } from './flow-end.ts'
import type { PolicyObjects } from './policy-objects.ts'

/** May one end reach the other, and what decides. */
export interface Explanation {
  readonly from: FlowEnd
  readonly to: FlowEnd
  /** One for each different decision, the least first; together all that was asked about. */
  readonly cases: readonly ExplainedCase[]
  readonly warnings: readonly string[]
}

export interface ExplainedCase {
  /** In order; `other` is all that has no ports, such as ICMP. */
  readonly traffic: readonly (PortRange | 'other')[]
  readonly decision: FlowDecision
  /** What the end's policies say in the direction, where it is subject to any. */
  readonly egress: DirectionPolicy | undefined
  readonly ingress: DirectionPolicy | undefined
}

export const lastPort = 65_535

/** Of one port, or of everything, cut where rules or the destination's named ports make a difference. */
export function explainFlow(
  objects: PolicyObjects,
  from: FlowEnd,
  to: FlowEnd,
  asked: Traffic | undefined,
): Explanation {
  const tables = tablesOf(objects, from, to)
  const egress = directionOf(tables.from, from, 'egress')
  const ingress = directionOf(tables.to, to, 'ingress')
  const pieces: readonly (PortRange | 'other')[] =
    asked === undefined
      ? [...serviceProtocols.flatMap((protocol) => piecesOf(protocol, [egress, ingress], to.pod)), 'other']
      : [pieceOf(asked)]
  const cases: { traffic: (PortRange | 'other')[]; readonly decision: FlowDecision }[] = []
  for (const piece of pieces) {
    const traffic: Traffic = piece === 'other' ? { protocol: 'other' } : { protocol: piece.protocol, port: piece.first }
    const decision = decideFlow(tables, from.party, to.party, traffic)
    const same = cases.find((one) => isDeepStrictEqual(one.decision, decision))
    if (same === undefined) cases.push({ traffic: [piece], decision })
    else same.traffic = joined(same.traffic, piece)
  }
  const warnings = [...from.warnings, ...to.warnings, ...policyWarnings(objects, [egress, ingress])]
  const ordered = cases.toSorted((a, b) => portCount(a.traffic) - portCount(b.traffic))
  return { from, to, cases: ordered.map((one) => ({ ...one, egress, ingress })), warnings: [...new Set(warnings)] }
}

/** The tables of the two pods' nodes, compiled as their agents do. */
function tablesOf(objects: PolicyObjects, from: FlowEnd, to: FlowEnd): FlowTables {
  const { namespaces, networkPolicies, clusterNetworkPolicies } = objects
  const ends = new Set([from, to].flatMap(({ pod }) => (pod === undefined ? [] : [objectKey(pod.metadata)])))
  const pods = new Map<string, PolicyPod>()
  for (const [key, pod] of objects.pods) pods.set(key, ends.has(key) ? { ...pod, nodeName: nodeOf(pod) } : pod)
  const made = new Map<string, PolicyTable>()
  const tableOf = ({ pod }: FlowEnd): PolicyTable | undefined => {
    if (pod === undefined) return undefined
    const node = nodeOf(pod)
    const known = made.get(node)
    if (known !== undefined) return known
    const index = new PolicyIndex(node)
    index.apply({ pods, namespaces, networkPolicies, clusterNetworkPolicies })
    const table = index.table()
    made.set(node, table)
    return table
  }
  return { from: tableOf(from), to: tableOf(to) }
}

function nodeOf({ nodeName }: PolicyPod): string {
  return nodeName ?? unscheduled
}

function directionOf(
  table: PolicyTable | undefined,
  { party }: FlowEnd,
  direction: PolicyDirection,
): DirectionPolicy | undefined {
  return party.kind === 'pod' ? table?.pods.get(party.key)?.[direction] : undefined
}

function pieceOf(asked: Traffic): PortRange | 'other' {
  return asked.protocol === 'other' ? 'other' : { protocol: asked.protocol, first: asked.port, last: asked.port }
}

/** All ports of a protocol, in pieces within which no rule makes a difference. */
function piecesOf(
  protocol: ServiceProtocol,
  policies: readonly (DirectionPolicy | undefined)[],
  destination: PolicyPod | undefined,
): readonly PortRange[] {
  const ranges = policies.flatMap(rulesOf).flatMap(({ ports }) => (ports === 'any' ? [] : ports))
  const named = (destination?.namedPorts ?? []).map(({ protocol: of, port }) => ({
    protocol: of,
    first: port,
    last: port,
  }))
  const own = [...ranges, ...named].filter((range) => range.protocol === protocol)
  const starts = [...new Set([0, ...own.flatMap(({ first, last }) => [first, last + 1])])]
    .filter((port) => port <= lastPort)
    .sort((a, b) => a - b)
  return starts.map((first, index) => ({ protocol, first, last: (starts[index + 1] ?? lastPort + 1) - 1 }))
}

function rulesOf(policy: DirectionPolicy | undefined): DirectionPolicy['network'][number]['rules'] {
  if (policy === undefined) return []
  return [...policy.admin, ...policy.network, ...policy.baseline].flatMap(({ rules }) => rules)
}

function joined(pieces: readonly (PortRange | 'other')[], next: PortRange | 'other'): (PortRange | 'other')[] {
  const last = pieces.at(-1)
  const isAdjacent =
    last !== undefined &&
    last !== 'other' &&
    next !== 'other' &&
    last.protocol === next.protocol &&
    last.last + 1 === next.first
  return isAdjacent ? [...pieces.slice(0, -1), { ...last, last: next.last }] : [...pieces, next]
}

function portCount(pieces: readonly (PortRange | 'other')[]): number {
  return pieces.reduce((sum, piece) => sum + (piece === 'other' ? 1 : piece.last - piece.first + 1), 0)
}

/** Of the policies that are asked, and of those that are about nobody because they cannot be read. */
function policyWarnings(objects: PolicyObjects, policies: readonly (DirectionPolicy | undefined)[]): readonly string[] {
  const asked = policies.flatMap((one) => (one === undefined ? [] : [...one.admin, ...one.network, ...one.baseline]))
  const problems = asked.flatMap(({ policy: { kind, key } }) => {
    const source = kind === 'NetworkPolicy' ? objects.networkPolicies : objects.clusterNetworkPolicies
    const found = source.get(key)?.problems ?? []
    return found.length === 0
      ? []
      : [`${kind} ${key} fails closed where it is wrong: ${formatFieldErrors(found.slice(0, 3))}`]
  })
  const aboutNobody = [...objects.clusterNetworkPolicies.values()]
    .filter(({ subject }) => subject === undefined)
    .map(({ metadata, problems: found }) => {
      return `ClusterNetworkPolicy ${metadata.name} is about no pod: ${formatFieldErrors(found.slice(0, 3))}`
    })
  return [...problems, ...aboutNobody, ...objects.unusable]
}
