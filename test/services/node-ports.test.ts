// Node ports of our own proxy: the agent of production with the lab's API server; a client outside of the node, and a VCN
// that drops what leaves by a VNIC that does not own its source.
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import type { JsonObject } from '../../src/kube/object.ts'
import { endpointSlices, resourcePath, services } from '../../src/kube/resources.ts'
import { KubeTestNode } from '../clients/kube-test-node.ts'
import { primaryVnic } from '../clients/node-links.ts'
import { ask, serveEcho } from '../clients/traffic.ts'
import { connectBehindVcn, mustRun } from './behind-vcn.ts'
import { countMarks, watchMarks } from './mark-watch.ts'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const namespace = 'default'
const podAddress = '10.0.4.10'
const outside = '192.0.2.7'
const patience = { timeout: 30_000, interval: 25 }
const protocols = ['TCP', 'UDP'] as const
const nodePorts = { Cluster: 30_080, Local: 30_090 } as const
type Policy = keyof typeof nodePorts

let cluster: KubeTestNode
let scope: AsyncDisposableStack
let client: string

beforeEach(async () => {
  const addresses = [{ type: 'InternalIP', address: primaryVnic.primaryAddress }]
  scope = new AsyncDisposableStack()
  cluster = scope.use(await KubeTestNode.start({ services: true, node: { status: { addresses } } }))
  const { node } = cluster
  cluster.publish([podAddress])
  await expect.poll(() => cluster.cniStatus(), patience).toBe('ok')
  const server = node.addPodNetns()
  expect(await cluster.add('server', server)).toBe(podAddress)
  scope.use(await serveEcho(node.directory, server, 8080))
  client = await connectBehindVcn(node, 'outside', outside)
  await watchMarks(node)
})
afterEach(async () => {
  await scope.disposeAsync()
})

function createService(policy: Policy): void {
  const name = policy.toLowerCase()
  const ports = protocols.map((protocol) => ({
    ...{ name: protocol.toLowerCase(), protocol, port: 80, targetPort: 8080 },
    nodePort: nodePorts[policy],
  }))
  const spec = { type: 'NodePort', clusterIP: `10.96.0.${name.length}`, externalTrafficPolicy: policy, ports }
  cluster.call('POST', resourcePath(services, { namespace }), { metadata: { namespace, name }, spec })
  const slice: JsonObject = {
    metadata: { namespace, name: `${name}-1`, labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    ports: protocols.map((protocol) => ({ name: protocol.toLowerCase(), port: 8080, protocol })),
    endpoints: [{ addresses: [podAddress], nodeName: cluster.node.name, conditions: { ready: true } }],
  }
  cluster.call('POST', resourcePath(endpointSlices, { namespace }), slice)
}

it('answer from a pod on a secondary VNIC, to the client’s address or the node’s, and by the primary VNIC', async () => {
  const { node } = cluster
  for (const policy of ['Cluster', 'Local'] as const) createService(policy)
  const elements = (): Promise<string> => mustRun(node, node.netnsPath, 'nft list map ip vcn-services np4-out')
  await expect.poll(elements, patience).toMatch(/tcp . 30090 : goto lb4[^]*udp . 30090 : goto lb4/)
  const seen = async (policy: Policy, address: string = node.nodeAddress): Promise<readonly string[]> =>
    await Promise.all((['tcp', 'udp'] as const).map((protocol) => ask(client, protocol, address, nodePorts[policy])))
  expect(await seen('Cluster')).toEqual([node.nodeAddress, node.nodeAddress])
  expect(await seen('Local')).toEqual([outside, outside])
  const counts = await countMarks(node)
  expect(counts).toMatchObject({ leftover: 0, astray: 0, bySecondary: 0 })
  expect(Math.min(counts.marked, counts.byPrimary)).toBeGreaterThan(0)
})
