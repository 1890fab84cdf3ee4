import { afterEach, beforeEach, expect, test } from 'vitest'
import { unwrap } from '../base/result.ts'
import { NatFlows } from '../linux/nat-flows.fixture.ts'
import type { TestNetns } from '../linux/test-netns.fixture.ts'
import { expectKernelToTake, textOfTable } from '../nftables/golden-table.fixture.ts'
import { Libnftables } from '../nftables/libnftables.ts'
import { NftablesWriter } from '../nftables/writer.ts'
import { closedIpv6Name, closedIpv6Table } from './closed-ipv6.ts'

test('is written as in testdata', async () => {
  await expect(textOfTable(closedIpv6Table({ localPods: 'oci*' }))).toMatchFileSnapshot('./testdata/closed-ipv6.nft')
})

test('is what the kernel has then', () => expectKernelToTake(closedIpv6Table({ localPods: 'oci*' })))

/** As NatFlows gives them: the client is the pod, behind interface c of the node. */
const addresses = { pod: 'fd00::1', node: 'fd00::fe', beyond: 'fd00:1::2', nodeBeyond: 'fd00:1::fe' } as const

let flows: NatFlows
beforeEach(() => {
  flows = new NatFlows()
  // Who writes raw frames needs no neighbour discovery.
  knowNeighbour(flows.client, addresses.node, flows.node, 'c')
  knowNeighbour(flows.node, addresses.pod, flows.client, 'c')
  knowNeighbour(flows.node, addresses.beyond, flows.endpoints, 'e')
  knowNeighbour(flows.endpoints, addresses.nodeBeyond, flows.node, 'e')
  for (const netns of [flows.client, flows.node, flows.endpoints]) {
    flows.run(
      netns,
      'nft -f /dev/stdin',
      'add table ip6 seen; add chain ip6 seen in { type filter hook input priority 500; }; add rule ip6 seen in udp dport 5300 counter',
    )
  }
})
afterEach(() => flows[Symbol.dispose]())

function knowNeighbour(at: TestNetns, address: string, of: TestNetns, device: string): void {
  const mac = String(of.ipJson(`link show dev ${device}`)[0]?.['address'])
  at.ip(`neigh replace ${address} lladdr ${mac} dev ${device} nud permanent`)
}

function send(netns: TestNetns, to: string): void {
  flows.run(netns, `socat -u - UDP6-SENDTO:[${to}]:5300`, 'push')
}

function arrived(netns: TestNetns): number {
  return Number(/packets (\d+)/.exec(flows.run(netns, 'nft list chain ip6 seen in'))?.[1])
}

function sendAllWays(): readonly [atNode: number, beyondIt: number, atPod: number] {
  send(flows.client, addresses.node)
  send(flows.client, addresses.beyond)
  send(flows.endpoints, addresses.pod)
  return [arrived(flows.node), arrived(flows.endpoints), arrived(flows.client)]
}

test('nothing of IPv6 comes from a pod to the node or through it, nor through the node to a pod; IPv4 goes on', async () => {
  expect(sendAllWays()).toEqual([1, 1, 1])
  const library = unwrap(Libnftables.load())
  await using writer = new NftablesWriter({ library, ...closedIpv6Name, netns: flows.node.fd })
  unwrap(await writer.apply(closedIpv6Table({ localPods: 'c*' }), new AbortController().signal))
  expect(sendAllWays()).toEqual([1, 1, 1])
  const counters = flows.run(flows.node, `nft list table ip6 ${closedIpv6Name.name}`)
  expect(counters).toMatch(/iifname "c\*" counter packets [2-9]/)
  expect(counters).toMatch(/oifname "c\*" counter packets [1-9]/)
  await flows.serveTcp('10.1.0.2', 80, 'web')
  expect(flows.ask('TCP', '10.1.0.2', 80, 20_000)).toBe('web')
  // Others' interfaces are none of its business.
  send(flows.endpoints, addresses.nodeBeyond)
  expect(arrived(flows.node)).toBe(2)
})
