import { expect, test } from 'vitest'
import { type Ipv4, parseIpv4 } from '../../base/ip.ts'

import { ok, unwrap } from '../../base/result.ts'
import { packerOf } from '../../nftables/datatype.ts'
import type { PolicyTable } from '../../policy/policy-table.ts'
import { deniedFlowKey, deniedFlowsNames } from '../../policy/rule-names.ts'
import { explainFlows, type FlowCount, type FlowKnowledge, readDeniedFlows } from './denied-flows.ts'

const ip = (text: string): Ipv4 => unwrap(parseIpv4(text))
const [client, server] = [ip('10.0.4.11'), ip('10.0.4.10')]
const open = { key: '', admin: [], network: [], baseline: [] }
const table: PolicyTable = {
  node: 'node-1',
  pods: new Map([['default/server', { key: 'default/server', ingress: open, egress: open }]]),
  peerSets: new Map(),
}
const flow: FlowCount = { direction: 'ingress', from: client, to: server, protocol: 'TCP', port: 80, packets: 1 }

test.each<[what: string, knowledge: Partial<FlowKnowledge>, by: string]>([
  ['known by its interface is asked for its policies', {}, 'default'],
  ['of which no interface is known has none', { holderOf: () => undefined }, 'unknown pod'],
  [
    'whose interface is another’s of its name has none',
    { holderOf: (address) => (address === server ? { pod: 'default/server', isClosed: true } : undefined) },
    'unknown pod',
  ],
  ['is not known before the API server told', { table: undefined }, 'unknown pod'],
])('a pod %s', (_what, knowledge, by) => {
  const holderOf: FlowKnowledge['holderOf'] = (address) =>
    address === server ? { pod: 'default/server', isClosed: false } : undefined
  const [explained] = explainFlows([flow], { table, holderOf, pods: [], ...knowledge })
  expect(explained?.decision.by).toBe(by)
  expect(explained?.from).toEqual({ kind: 'outside', address: client })
})

test.each([
  ['tcp', 80, { protocol: 'TCP', port: 80 }],
  ['sctp', 0, { protocol: 'SCTP', port: 0 }],
  ['icmp', 0, { protocol: 'ICMP' }],
] as const)('a flow of %s to port %i', async (protocol, port, told) => {
  const key = packerOf(deniedFlowKey)(client, server, protocol, port)
  const read = (set: string) =>
    Promise.resolve(ok(set === deniedFlowsNames.egress ? [{ key, packets: 3, bytes: 90 }] : []))
  const flows = unwrap(await readDeniedFlows(read, new AbortController().signal))
  const [explained] = explainFlows(flows, { table, holderOf: () => undefined, pods: [] })
  const { direction, from, to, packets, protocol: name, port: at } = explained ?? {}
  expect({ direction, from, to, packets }).toEqual({
    direction: 'egress',
    from: { kind: 'outside', address: client },
    to: { kind: 'outside', address: server },
    packets: 3,
  })
  expect({ protocol: name, ...(at !== undefined && { port: at }) }).toEqual(told)
})
