import { afterEach, beforeEach, expect, it } from 'vitest'
import { KubeTestNode } from '../../../test/clients/kube-test-node.ts'
import { primaryVnic } from '../../../test/clients/node-links.ts'
import { ask, serveEcho } from '../../../test/clients/traffic.ts'
import type { JsonObject } from '../../kube/object.ts'
import { endpointSlices, resourcePath, services } from '../../kube/resources.ts'

// The agent of production as a process, in a namespace of its own, with the lab's API server and real packets.

let cluster: KubeTestNode
let scope: AsyncDisposableStack
const patience = { timeout: 10_000, interval: 25 }
const clusterIp = '10.96.0.77'
const podAddress = '10.0.4.10'

beforeEach(async () => {
  const addresses = [{ type: 'InternalIP', address: primaryVnic.primaryAddress }]
  scope = new AsyncDisposableStack()
  cluster = scope.use(await KubeTestNode.start({ services: true, node: { status: { addresses } } }))
  cluster.publish([podAddress, '10.0.4.11'])
  await expect.poll(() => cluster.cniStatus(), patience).toBe('ok')
})
afterEach(async () => {
  await scope.disposeAsync()
})

const namespace = 'default'
const metadata = { namespace, name: 'web' }

function createService(): void {
  const ports = [{ port: 80, protocol: 'TCP', targetPort: 8080 }]
  cluster.call('POST', resourcePath(services, { namespace }), { metadata, spec: { clusterIP: clusterIp, ports } })
}

const slice = (addresses: readonly string[]): JsonObject => ({
  metadata: { namespace, name: 'web-1', labels: { 'kubernetes.io/service-name': 'web' } },
  addressType: 'IPv4',
  ports: [{ name: '', port: 8080, protocol: 'TCP' }],
  endpoints: addresses.map((address) => ({ addresses: [address], conditions: { ready: true } })),
})

async function nft(...words: readonly string[]): Promise<string> {
  const { stdout, stderr } = await cluster.node.exec(cluster.node.netnsPath, ['nft', ...words])
  return stdout + stderr
}
const elements = (): Promise<string> => nft('list', 'map', 'ip', 'vcn-services', 'svc4')

async function addBackend(): Promise<string> {
  const server = cluster.node.addPodNetns()
  expect(await cluster.add('server', server)).toBe(podAddress)
  scope.use(await serveEcho(cluster.node.directory, server, 8080))
  const client = cluster.node.addPodNetns()
  await cluster.add('client', client)
  return client
}

it('leads a pod and the host to a Service’s pod, and refuses when there is none', async () => {
  const client = await addBackend()
  createService()
  await expect.poll(elements, patience).toContain('goto refuse')
  expect(await ask(client, 'tcp', clusterIp, 80)).toContain('ECONNREFUSED')
  cluster.call('POST', resourcePath(endpointSlices, { namespace }), slice([podAddress]))
  await expect.poll(elements, patience).toContain('goto lb4-tcp-1')
  expect(await ask(client, 'tcp', clusterIp, 80)).toBe('10.0.4.11')
  expect(await ask(cluster.node.netnsPath, 'tcp', clusterIp, 80)).toBe(primaryVnic.primaryAddress)
})

it('leaves its rules when it ends, follows what changed meanwhile, and mends what others delete', async () => {
  createService()
  await expect.poll(elements, patience).toContain('goto refuse')
  await cluster.node.stopAgent()
  expect(await elements()).toContain('goto refuse')
  cluster.call('POST', resourcePath(endpointSlices, { namespace }), slice([podAddress]))
  await cluster.node.startAgent()
  await expect.poll(elements, patience).toContain('goto lb4-tcp-1')
  await nft('delete', 'table', 'ip', 'vcn-services')
  await expect.poll(elements, patience).toContain('goto lb4-tcp-1')
})

it('keeps away while kube-proxy’s rules are there, says so, and begins when they are gone', async () => {
  createService()
  await expect.poll(elements, patience).toContain('goto refuse')
  await cluster.node.stopAgent()
  await nft('delete', 'table', 'ip', 'vcn-services')
  await nft('add', 'table', 'ip', 'kube-proxy')
  await cluster.node.startAgent()
  const told = async (): Promise<string> => JSON.stringify(await cluster.source())
  await expect.poll(told, patience).toContain('table ip kube-proxy (nftables)')
  expect(await elements()).toContain('No such file or directory')
  await nft('delete', 'table', 'ip', 'kube-proxy')
  await expect.poll(elements, patience).toContain('goto refuse')
})
