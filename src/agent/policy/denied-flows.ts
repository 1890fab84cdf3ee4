import type { Ipv4 } from '../../base/ip.ts'
import { ok, type Result } from '../../base/result.ts'
import type { PolicyPod } from '../../kube/policy-pod.ts'
import { serviceProtocols } from '../../kube/service-port.ts'
import { unpackTexts } from '../../nftables/datatype.ts'
import type { ElementCount } from '../../nftables/element-counts.ts'
import { decideDirection, type DirectionDecision, type Party, type Traffic } from '../../policy/decide-flow.ts'
import { directions, type PolicyDirection, type PolicyTable } from '../../policy/policy-table.ts'
import { deniedFlowKey, deniedFlowsNames } from '../../policy/rule-names.ts'
import type { DeniedFlow } from '../denied-flow.ts'
import type { InterfaceHolder } from './interface-bindings.ts'
import { partiesByAddress } from './parties.ts'

export type ReadCounts = (set: string, signal: AbortSignal) => Promise<Result<readonly ElementCount[], string>>

/** As the kernel learned it. */
export interface FlowCount {
  readonly direction: PolicyDirection
  readonly from: Ipv4
  readonly to: Ipv4
  readonly protocol: string
  /** 0 of a protocol without ports. */
  readonly port: number
  readonly packets: number
}

/** What is known to name and judge flows by. */
export interface FlowKnowledge {
  /** Absent: the objects are not known yet. */
  readonly table: PolicyTable | undefined
  /** Who has the address on this node's pod network. */
  readonly holderOf: (address: Ipv4) => InterfaceHolder | undefined
  readonly pods: Iterable<PolicyPod>
}

/** Lists the two learned sets, of at most 4,096 flows each. */
export async function readDeniedFlows(read: ReadCounts, signal: AbortSignal): Promise<Result<FlowCount[], string>> {
  const flows: FlowCount[] = []
  for (const direction of directions) {
    const counts = await read(deniedFlowsNames[direction], signal)
    if (!counts.ok) return counts
    flows.push(...counts.value.map((count) => flowOf(direction, count)))
  }
  return ok(flows)
}

/** Looks at every pod of the cluster once, for all flows together. */
export function explainFlows(flows: readonly FlowCount[], { table, ...named }: FlowKnowledge): readonly DeniedFlow[] {
  const ends = endsOf(flows, named)
  return flows.map(({ direction, port, ...flow }) => {
    const [from, to] = [ends.get(flow.from), ends.get(flow.to)]
    if (from === undefined || to === undefined) throw new Error(`${flow.from} or ${flow.to} was left out`)
    const [subject, peer] = direction === 'egress' ? [from, to] : [to, from]
    const traffic = trafficOf(flow.protocol, port)
    const isKnown = subject.party.kind === 'pod' && !subject.isClosed
    const decision = isKnown ? decideDirection(table, direction, subject.party, peer.party, traffic) : unknownPod
    const { protocol } = traffic
    return { ...flow, direction, from: from.party, to: to.party, ...(protocol !== 'other' && { port }), decision }
  })
}

interface FlowEnd {
  readonly party: Party
  readonly isClosed: boolean
}

function endsOf(
  flows: readonly FlowCount[],
  { holderOf, pods }: Omit<FlowKnowledge, 'table'>,
): ReadonlyMap<Ipv4, FlowEnd> {
  const addresses = new Set(flows.flatMap(({ from, to }) => [from, to]))
  const parties = partiesByAddress(addresses, pods)
  const endOf = (address: Ipv4): FlowEnd => {
    const { pod: key, isClosed = false } = holderOf(address) ?? {}
    const party = key === undefined ? parties.get(address) : ({ kind: 'pod', key, address } as const)
    return { party: party ?? { kind: 'outside', address }, isClosed }
  }
  return new Map([...addresses].map((address) => [address, endOf(address)]))
}

const unknownPod: DirectionDecision = { isAllowed: false, by: 'unknown pod' }

function flowOf(direction: PolicyDirection, { key, packets }: ElementCount): FlowCount {
  const [from = '', to = '', protocol = '', port = ''] = unpackTexts(deniedFlowKey, key)
  // Four bytes from the kernel are an address.
  const ends = { from: from as Ipv4, to: to as Ipv4 }
  return { direction, ...ends, protocol: protocol.toUpperCase(), port: Number(port), packets }
}

function trafficOf(protocol: string, port: number): Traffic {
  const named = serviceProtocols.find((one) => one === protocol)
  return named === undefined ? { protocol: 'other' } : { protocol: named, port }
}
