import { randomBytes } from 'node:crypto'
import http from 'node:http'
import { expect, onTestFinished, test } from 'vitest'
import { parseIpv4 } from '../../base/ip.ts'
import { unwrap } from '../../base/result.ts'
import { changeLink } from '../../linux/netlink/link.ts'
import { NetlinkSocket } from '../../linux/netlink/socket.ts'
import { createNamedNetns, openNetns, removeNamedNetns, withNetns } from '../../linux/netns.ts'
import { netnsPath } from '../names.ts'
import { listenIn } from '../netns-socket.ts'
import { type ClusterPod, parseClusterPod } from './cluster-pod.ts'
import { Readiness } from './readiness.ts'

const soon = { timeout: 10_000, interval: 20 }
const port = 8080

/** A node's namespace with a web server in it, which answers with what `status` says. */
async function node(status: () => number): Promise<string> {
  const name = `readiness-${randomBytes(4).toString('hex')}`
  createNamedNetns(name)
  using netns = unwrap(openNetns(netnsPath(name)))
  using socket = withNetns(netns, () => new NetlinkSocket())
  unwrap(socket.request([changeLink({ ifindex: 1, up: true })]))
  const server = http.createServer((request, response) => {
    response.writeHead(request.url === '/healthz' ? status() : 404).end('x'.repeat(100_000))
  })
  await listenIn(server, netns, unwrap(parseIpv4('127.0.0.1')), port)
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
    removeNamedNetns(name)
  })
  return name
}

/** The probe of a pod whose port is called web; it is asked often. */
function probe(nodeNetns: string, readinessProbe: object): Readiness {
  const container = { name: 'c', image: 'x', ports: [{ name: 'web', containerPort: port }], readinessProbe }
  const pod: ClusterPod = unwrap(
    parseClusterPod({ metadata: { name: 'p', namespace: 'default' }, spec: { containers: [container] } }),
  )
  const parsed = pod.containers[0]?.readinessProbe
  if (parsed === undefined) throw new Error('no probe')
  const quick = { ...parsed, periodMs: 20, failureThreshold: 1 }
  const readiness = new Readiness({
    probe: quick,
    pod,
    netns: nodeNetns,
    nodeNetns,
    address: '127.0.0.1',
    changed: () => undefined,
  })
  onTestFinished(() => readiness.stop())
  readiness.start()
  return readiness
}

test.each([
  ['httpGet by number', { httpGet: { path: '/healthz', port } }],
  ['httpGet by the name of a port', { httpGet: { path: '/healthz', port: 'web' } }],
])('%s follows the status of the answer', async (_, form) => {
  let status = 503
  const readiness = probe(await node(() => status), form)
  expect(readiness.ready).toBe(false)
  status = 204
  await expect.poll(() => readiness.ready, soon).toBe(true)
  status = 400
  await expect.poll(() => readiness.ready, soon).toBe(false)
})

test('tcpSocket wants a connection, from out of the node', async () => {
  const netns = await node(() => 500)
  const open = probe(netns, { tcpSocket: { port: 'web' } })
  const closed = probe(netns, { tcpSocket: { port: 81 } })
  await expect.poll(() => open.ready, soon).toBe(true)
  expect(closed.ready).toBe(false)
})

test('what was ready is not any more once its container has ended', async () => {
  const readiness = probe(await node(() => 200), { tcpSocket: { port } })
  await expect.poll(() => readiness.ready, soon).toBe(true)
  readiness.stop()
  expect(readiness.ready).toBe(false)
})
