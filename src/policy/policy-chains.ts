import type { ServiceProtocol } from '../kube/service-port.ts'
import { type Packed, packRange } from '../nftables/datatype.ts'
import { setElementsOf } from '../nftables/elements.ts'
import type { NftSet, Rule } from '../nftables/model.ts'
import { concat, equals, type Expression, isIn, isProtocol, type Statement, verdict } from '../nftables/statement.ts'
import { l4Of } from './l4.ts'
import type { DirectionPolicy, PolicyDirection, PolicyRule, PolicyRules, PortRange } from './policy-table.ts'
import { chainName, type ChainKind, deniedChain, peerSetName, portListName } from './rule-names.ts'

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

const portKey = ['inet_proto', 'inet_service'] as const
const verdicts = {
  // Ends this hook's chain; the other direction has a base chain of its own.
  accept: verdict('accept'),
  deny: verdict(`goto ${deniedChain}`),
} as const
const peerAddress: Readonly<Record<PolicyDirection, Expression>> = { ingress: 'ip saddr', egress: 'ip daddr' }

/** Every chain of a direction, the pod's own last. None when nothing is said about it. */
export function chainsOf(direction: PolicyDirection, policy: DirectionPolicy): readonly SharedChain[] {
  const shared = (kind: ChainKind, made: readonly PolicyRules[]): SharedChain => ({
    name: chainName(kind, direction, made.map(({ key }) => key).join('; ')),
    made,
    build: () => rulesOf(direction, made),
  })
  const admin = policy.admin.length > 0 ? [shared('admin', policy.admin)] : []
  const network = policy.network.map((rules) => shared('policy', [rules]))
  const isIsolated = network.length > 0
  const baseline = !isIsolated && policy.baseline.length > 0 ? [shared('baseline', policy.baseline)] : []
  const others = [...admin, ...network, ...baseline]
  const rules = [...others.map(({ name }): Rule => [verdict(`jump ${name}`)]), ...(isIsolated ? [[verdicts.deny]] : [])]
  if (rules.length === 0) return []
  const own = {
    name: chainName('pod', direction, policy.key),
    made: others.flatMap(({ made }) => made),
    build: () => ({ rules, portLists: new Map<string, NftSet>() }),
  }
  return [...others, own]
}

function rulesOf(direction: PolicyDirection, lists: readonly PolicyRules[]): ChainParts {
  const portLists = new Map<string, NftSet>()
  const rules = lists.flatMap((list) =>
    list.rules.flatMap((rule) => {
      const end = rule.action === 'pass' ? verdict('return') : verdicts[rule.action]
      return matchesOf(direction, rule, portLists).map((match) => [...match, end])
    }),
  )
  return { rules, portLists }
}

/** What a packet must be, one way or another. */
function matchesOf(
  direction: PolicyDirection,
  { peers, ports, portSets }: PolicyRule,
  portLists: Map<string, NftSet>,
): readonly (readonly Statement[])[] {
  const ofPorts = ports === 'any' ? [] : portMatch(ports, portLists)
  const ofPeers = peers === 'any' ? [[]] : peers.map((key) => [isIn(peerAddress[direction], peerSetName(key))])
  const byPeers = ofPorts === undefined ? [] : ofPeers.map((peer) => [...peer, ...ofPorts])
  const byPortSets = portSets.map((key) => [isIn(concat('ip daddr', 'meta l4proto', 'th dport'), peerSetName(key))])
  return [...byPeers, ...byPortSets]
}

/** Undefined when no port matches. Several ranges are a set, shared by name: anonymous ones are slow to load. */
function portMatch(ranges: readonly PortRange[], portLists: Map<string, NftSet>): readonly Statement[] | undefined {
  const [one, ...others] = ranges
  if (one === undefined) return undefined
  if (others.length > 0) {
    const name = portListName(ranges.map(rangeText).join(' '))
    portLists.set(name, { key: portKey, interval: true, elements: setElementsOf(ranges.map(packPorts)) })
    return [isIn(concat('meta l4proto', 'th dport'), name)]
  }
  const { protocol, first, last } = one
  const ofProtocol = isProtocol(l4Of[protocol])
  if (first === 0 && last === 65_535) return [ofProtocol]
  return [ofProtocol, equals('th dport', first === last ? first : { from: first, to: last })]
}

function packPorts({ protocol, first, last }: PortRange): Packed {
  const l4 = l4Of[protocol]
  return packRange(portKey, [l4, first], [l4, last])
}

function rangeText({ protocol, first, last }: { protocol: ServiceProtocol; first: number; last: number }): string {
  return `${protocol}/${first}-${last}`
}
