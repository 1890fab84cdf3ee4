import type { Cidr } from '../base/cidr.ts'
import { type IpFamily, isIpv4 } from '../base/ip.ts'
import { packRange } from '../nftables/datatype.ts'
import { type Elements, setElementsOf } from '../nftables/elements.ts'
import type { NftSet, Rule } from '../nftables/model.ts'
import { isIn, isProtocol } from '../nftables/statement.ts'
import { disjointSpans } from './block-spans.ts'
import { disjointPorts } from './port-ranges.ts'
import type { BlockList, PortList, PortRange, Redirection } from './redirection.ts'

export const portSets = {
  excludedInbound: 'excluded-inbound-ports',
  includedInbound: 'included-inbound-ports',
  excludedOutbound: 'excluded-outbound-ports',
  includedOutbound: 'included-outbound-ports',
} as const
export type PortSet = (typeof portSets)[keyof typeof portSets]

/** Of each there is one for IPv4 and one for IPv6. */
export const blockSets = {
  excludedSources: 'excluded-sources',
  excludedDestinations: 'excluded-destinations',
  includedDestinations: 'included-destinations',
} as const
export type BlockSet = (typeof blockSets)[keyof typeof blockSets]

/** Sets instead of rules: a list of thousands costs a packet no more than one port. What is empty has no set. */
export function redirectionSets({ inbound, outbound }: Redirection): ReadonlyMap<string, NftSet> {
  return new Map<string, NftSet>([
    ...portEntries(portSets.excludedInbound, inbound.excludedPorts),
    ...portEntries(portSets.includedInbound, inbound.ports),
    ...blockEntries(blockSets.excludedSources, inbound.excludedSources),
    ...portEntries(portSets.excludedOutbound, outbound.excludedPorts),
    ...portEntries(portSets.includedOutbound, outbound.ports),
    ...blockEntries(blockSets.excludedDestinations, outbound.excludedBlocks),
    ...blockEntries(blockSets.includedDestinations, outbound.blocks),
  ])
}

/** The beginning of a rule for packets to the ports; none for no ports. */
export function matchesPorts(protocol: 'tcp' | 'udp', set: PortSet, ports: PortList): readonly Rule[] {
  if (ports === 'all') return [[isProtocol(protocol)]]
  return ports.length === 0 ? [] : [[isIn(`${protocol} dport`, set)]]
}

/** The same for TCP packets from or to the blocks: one rule a family. */
export function matchesBlocks(end: 'saddr' | 'daddr', set: BlockSet, blocks: BlockList): readonly Rule[] {
  if (blocks === 'all') return [[isProtocol('tcp')]]
  const rules: Rule[] = []
  if (blocks.some(({ address }) => isIpv4(address))) rules.push([isProtocol('tcp'), isIn(`ip ${end}`, `${set}4`)])
  if (blocks.some(({ address }) => !isIpv4(address))) rules.push([isProtocol('tcp'), isIn(`ip6 ${end}`, `${set}6`)])
  return rules
}

type Entries = readonly (readonly [string, NftSet])[]

function portEntries(name: PortSet, ports: 'all' | readonly PortRange[]): Entries {
  if (ports === 'all' || ports.length === 0) return []
  const elements = disjointPorts(ports).map(({ from, to }) => packRange(['inet_service'], [from], [to]))
  return [[name, { key: ['inet_service'], interval: true, elements: setElementsOf(elements) }]]
}

function blockEntries(name: BlockSet, blocks: 'all' | readonly Cidr[]): Entries {
  if (blocks === 'all') return []
  const sets: Entries = [
    [`${name}4`, { key: ['ipv4_addr'], interval: true, elements: elementsOfBlocks(blocks, 4) }],
    [`${name}6`, { key: ['ipv6_addr'], interval: true, elements: elementsOfBlocks(blocks, 6) }],
  ]
  return sets.filter(([, { elements }]) => elements.size > 0)
}

function elementsOfBlocks(blocks: readonly Cidr[], family: IpFamily): Elements {
  return setElementsOf(
    disjointSpans(blocks, family).map(({ first, last }) => {
      if (isIpv4(first) && isIpv4(last)) return packRange(['ipv4_addr'], [first], [last])
      if (!isIpv4(first) && !isIpv4(last)) return packRange(['ipv6_addr'], [first], [last])
      throw new Error(`${first} and ${last} are of two families`)
    }),
  )
}
