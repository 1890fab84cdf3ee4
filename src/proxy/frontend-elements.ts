import { l4Of } from '../kube/service-port.ts'
import { lastAddress } from '../base/cidr.ts'
import { type Ip, type Ipv4, isIpv4 } from '../base/ip.ts'
import { type Packed, packerOf, packRange } from '../nftables/datatype.ts'
import type { ElementValue, Verdict } from '../nftables/elements.ts'
import {
  admittedName,
  balancerName,
  guardedName,
  masqueradeName,
  refuseChain,
  scopeOf,
  stickyBalancerName,
  stickyName,
} from './rule-names.ts'
import type { Endpoint, Frontend, Target } from './service-table.ts'

export type SetElement = readonly [set: string, key: Packed, value: ElementValue]

const packFrontend = packerOf(['ipv4_addr', 'inet_proto', 'inet_service'])
const packNodePort = packerOf(['inet_proto', 'inet_service'])
const packSlot = packerOf(['ipv4_addr', 'inet_service', 'random'])
const packNodeSlot = packerOf(['inet_service', 'random'])
const packPair = packerOf(['ipv4_addr', 'ipv4_addr'])
const packPlace = packerOf(['ipv4_addr', 'inet_service'])
const packPort = packerOf(['inet_service'])
const admittedTypes = ['ipv4_addr', 'inet_proto', 'inet_service', 'ipv4_addr'] as const

/** The elements that a frontend has, but those of its endpoints and of its sources. */
export function frontendElements(frontend: Frontend): readonly SetElement[] {
  const { at, inside, outside, masquerade, affinityTimeoutSeconds, port } = frontend
  const protocol = l4Of[frontend.protocol]
  const key = at.kind === 'node' ? packNodePort(protocol, port) : packFrontend(ipv4(at.address), protocol, port)
  const elements: SetElement[] = [[scopeOf(frontend, 'inside'), key, verdictOf(frontend, 'inside')]]
  if (outside !== inside) elements.push([scopeOf(frontend, 'outside'), key, verdictOf(frontend, 'outside')])
  if (inside.kind === 'forward' || outside.kind === 'forward') {
    elements.push([masqueradeName(at.kind, masquerade), key, ''])
    if (affinityTimeoutSeconds !== undefined) {
      const sticky = at.kind === 'node' ? packPort(port) : packPlace(ipv4(at.address), port)
      elements.push([stickyName(at.kind, protocol, affinityTimeoutSeconds), sticky, ''])
    }
  }
  return elements
}

/** Those by which only its sources may come to it: one for each of them. */
export function sourceElements({ at, protocol, port, sources }: Frontend): readonly SetElement[] {
  if (sources === undefined || at.kind === 'node') return []
  const place = [ipv4(at.address), l4Of[protocol], port] as const
  const elements: SetElement[] = [[guardedName, packFrontend(...place), '']]
  for (const block of sources) {
    const first = ipv4(block.address)
    const last = lastAddress({ ...block, address: first })
    elements.push([admittedName, packRange(admittedTypes, [...place, first], [...place, last]), ''])
  }
  return elements
}

/** The endpoint with this number of a frontend. */
export function slotKey({ at, port }: Frontend, index: number): Packed {
  return at.kind === 'node' ? packNodeSlot(port, index) : packSlot(ipv4(at.address), port, index)
}

export function packEndpoint({ address, port }: Endpoint): Packed {
  return packPlaceOf(address, port)
}

/** What clients send to, as it stands in the keys of learned choices. */
export function packPlaceOf(address: Ip, port: number): Packed {
  return packPlace(ipv4(address), port)
}

export function hairpinKey(address: Ip): Packed {
  return packPair(ipv4(address), ipv4(address))
}

function verdictOf(frontend: Frontend, side: 'inside' | 'outside'): Verdict {
  const target = frontend[side]
  if (target.kind === 'drop') return 'drop'
  if (target.kind === 'reject') return `goto ${refuseChain}`
  return `goto ${chainFor(frontend, side, target)}`
}

function chainFor(frontend: Frontend, side: 'inside' | 'outside', target: Target & { kind: 'forward' }): string {
  const { protocol, affinityTimeoutSeconds } = frontend
  const where = [scopeOf(frontend, side), l4Of[protocol], target.endpoints.length] as const
  return affinityTimeoutSeconds === undefined
    ? balancerName(...where)
    : stickyBalancerName(...where, affinityTimeoutSeconds)
}

export function ipv4(address: Ip): Ipv4 {
  if (isIpv4(address)) return address
  throw new Error(`${address} in a table of IPv4 services`)
}
