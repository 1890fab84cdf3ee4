import { l4Of, type ServiceProtocol } from '../kube/service-port.ts'
import { type Packed, packRange } from '../nftables/datatype.ts'
import { setElementsOf } from '../nftables/elements.ts'
import type { NftSet, Rule } from '../nftables/model.ts'
import { concat, equals, isIn, isProtocol, type Statement, verdict } from '../nftables/statement.ts'
import { acceptKnown } from './allowed-flows.ts'
import { type FoldedRule, foldRules } from './fold-rules.ts'
import { type FlowView, views } from './flow-views.ts'
import type { DirectionPolicy, PolicyDirection, PolicyRules, PortRange } from './policy-table.ts'
import {
  allowedChains,
  chainName,
  type ChainKind,
  deniedChains,
  type FlowWay,
  peerSetName,
  portListName,
} from './rule-names.ts'

/** A chain as its rules and the port lists that they need. */
export interface ChainParts {
  readonly rules: readonly Rule[]
  readonly portLists: ReadonlyMap<string, NftSet>
}
/** A chain that pods share, and how it is made. */
export interface SharedChain {
  readonly name: string
  /** It is the same chain as long as these are the same objects. */
  readonly made: readonly PolicyRules[]
  readonly build: () => ChainParts
}

/** Which packets a chain is for. */
interface Sense {
  readonly direction: PolicyDirection
  readonly way: FlowWay
}

const portKey = ['inet_proto', 'inet_service'] as const

/**
 * Every chain of a direction, the pod's own last, which is gone to. None when nothing is said about it.
 */
export function chainsOf(direction: PolicyDirection, way: FlowWay, policy: DirectionPolicy): readonly SharedChain[] {
  const sense: Sense = { direction, way }
  const shared = (kind: ChainKind, made: readonly PolicyRules[]): readonly SharedChain[] =>
    made.some(({ rules }) => rules.length > 0)
      ? [{ name: nameOf(kind, sense, made.map(({ key }) => key).join('; ')), made, build: () => rulesOf(sense, made) }]
      : []
  const isIsolated = policy.network.length > 0
  const others = [
    ...shared('admin', policy.admin),
    ...policy.network.flatMap((rules) => shared('policy', [rules])),
    ...(isIsolated ? [] : shared('baseline', policy.baseline)),
  ]
  if (others.length === 0 && !isIsolated) return []
  const rules = [
    acceptKnown(direction, way),
    ...others.map(({ name }): Rule => [verdict(`jump ${name}`)]),
    [isIsolated ? denied(sense) : allowed(sense)],
  ]
  const own = {
    name: nameOf('pod', sense, policy.key),
    made: [...policy.admin, ...policy.network, ...policy.baseline],
    build: () => ({ rules, portLists: new Map<string, NftSet>() }),
  }
  return [...others, own]
}

function nameOf(kind: ChainKind, { direction, way }: Sense, key: string): string {
  return chainName(kind, direction, way, key)
}

function denied({ direction, way }: Sense): Statement {
  return verdict(`goto ${deniedChains[direction][way]}`)
}

/** Replies are judged like what they answer, and need not be remembered once more. */
function allowed({ direction, way }: Sense): Statement {
  return verdict(way === 'there' ? `goto ${allowedChains[direction]}` : 'accept')
}

function rulesOf(sense: Sense, lists: readonly PolicyRules[]): ChainParts {
  // Accepting ends this hook's chain; the other direction has a base chain of its own.
  const ends = { accept: allowed(sense), deny: denied(sense), pass: verdict('return') } as const
  const portLists = new Map<string, NftSet>()
  const rules = lists.flatMap((list) =>
    foldRules(list.rules).flatMap((rule) =>
      matchesOf(sense, rule, portLists).map((match) => [...match, ends[rule.action]]),
    ),
  )
  return { rules, portLists }
}

/** What a packet must be, one way or another. */
function matchesOf(
  { direction, way }: Sense,
  { peers, ports, portSets }: FoldedRule,
  portLists: Map<string, NftSet>,
): readonly (readonly Statement[])[] {
  const { peer, port } = views[direction][way]
  const ofPorts = ports === 'any' ? [] : portMatch(port, ports, portLists)
  const ofPeers = peers === 'any' ? [[]] : peers.map((key) => [isIn(peer, peerSetName(key))])
  const byPeers = ofPorts === undefined ? [] : ofPeers.map((one) => [...one, ...ofPorts])
  const byPortSets = portSets.map((key) => [isIn(concat(peer, 'meta l4proto', port), peerSetName(key))])
  return [...byPeers, ...byPortSets]
}

/** Undefined when no port matches. Several ranges are a set, shared by name: anonymous ones are slow to load. */
function portMatch(
  port: FlowView['port'],
  ranges: readonly PortRange[],
  portLists: Map<string, NftSet>,
): readonly Statement[] | undefined {
  const [one, ...others] = ranges
  if (one === undefined) return undefined
  if (others.length > 0) {
    const name = portListName(ranges.map(rangeText).join(' '))
    portLists.set(name, { key: portKey, interval: true, elements: setElementsOf(ranges.map(packPorts)) })
    return [isIn(concat('meta l4proto', port), name)]
  }
  const { protocol, first, last } = one
  const ofProtocol = [isProtocol(l4Of[protocol])]
  if (first === 0 && last === 65_535) return ofProtocol
  return [...ofProtocol, equals(port, first === last ? first : { from: first, to: last })]
}

function packPorts({ protocol, first, last }: PortRange): Packed {
  const l4 = l4Of[protocol]
  return packRange(portKey, [l4, first], [l4, last])
}

function rangeText({ protocol, first, last }: { protocol: ServiceProtocol; first: number; last: number }): string {
  return `${protocol}/${first}-${last}`
}
