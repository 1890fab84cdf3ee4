import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EndpointManifest, Packet, ServiceManifest } from '../../src/proxy/manifests.fixture.ts'
import { at, both, doors, local, node as model, slice, vip, web } from '../../src/proxy/one-service.fixture.ts'
import { PacketNode } from './packet-node.ts'

// The kernel tracks and translates SCTP even where it is built without SCTP sockets: an INIT is sent and answered by hand.
// PacketNode wants the INIT ACK from the virtual address and port, with a CRC32c that is right for its new ports.

let node: PacketNode
beforeAll(() => {
  node = new PacketNode()
})
afterAll(async () => {
  await node[Symbol.asyncDispose]()
})

const sctp: ServiceManifest['spec'] = {
  type: 'LoadBalancer',
  ports: [{ port: 80, protocol: 'SCTP', nodePort: 30_001 }],
}
const become = (spec: ServiceManifest['spec'], endpoints: readonly EndpointManifest[]): Promise<string> =>
  node.become({
    services: [web({ ...sctp, ...spec }, [vip])],
    slices: [slice(endpoints, { ports: [{ name: '', port: 8080, protocol: 'SCTP' }] })],
    node: model,
  })

const pod = '10.0.1.9'
const client = '203.0.113.77'
const sources = { pod, 'the host': '10.0.0.5', outside: client } as const
const kinds = { pod: 'podLocal', 'the host': 'host', outside: 'external' } as const
const init = (from: keyof typeof sources, to: keyof typeof doors): Packet => ({
  ...{ from: kinds[from], source: sources[from], protocol: 'SCTP' },
  ...doors[to],
})
const forwarded = (endpoint: string, sourceSeen: string): object => ({ kind: 'forward', endpoint, sourceSeen })
const here = '10.0.1.1:8080'
const there = '10.0.2.1:8080'

test.each([
  [
    'a pod’s INIT to a cluster IP comes as the pod’s',
    'pod',
    'the cluster IP',
    {},
    [at('there')],
    forwarded(there, pod),
  ],
  ['the host’s to a cluster IP', 'the host', 'the cluster IP', {}, [at('here')], forwarded(here, '10.0.0.5')],
  [
    'a node port’s from outside as the node’s',
    'outside',
    'the node port',
    {},
    [at('there')],
    forwarded(there, '10.0.0.5'),
  ],
  ['policy Local leaves the client', 'outside', 'the node port', local, both, forwarded(here, client)],
  ['policy Local and none here', 'outside', 'the node port', local, [at('there')], { kind: 'drop' }],
  ['a load balancer’s address', 'outside', 'the load balancer', local, both, forwarded(here, client)],
  ['an external address', 'pod', 'the external IP', {}, [at('there')], forwarded(there, '10.0.0.5')],
  ['without endpoints a pod is refused', 'pod', 'the cluster IP', {}, [], { kind: 'reject' }],
  ['without endpoints the host is refused', 'the host', 'the cluster IP', {}, [], { kind: 'reject' }],
] as const)('%s', async (_sentence, from, to, spec, endpoints, fate) => {
  await become(spec, endpoints)
  expect(node.begin(init(from, to))).toEqual(fate)
})

test('connection tracking knows an association by its addresses before and after', async () => {
  await node.startAnew()
  await become({}, [at('there')])
  node.begin(init('pod', 'the cluster IP'))
  const [entry = ''] = node.tracked('SCTP').split('\n')
  expect(entry).toContain('COOKIE_WAIT')
  expect(entry).toMatch(
    /src=10\.0\.1\.9 dst=10\.96\.0\.1 sport=\d+ dport=80 .*src=10\.0\.2\.1 dst=10\.0\.1\.9 sport=8080 /,
  )
})

test('a client with affinity has one endpoint', async () => {
  await become({ sessionAffinity: 'ClientIP' }, both)
  const fates = Array.from({ length: 20 }, () => JSON.stringify(node.begin(init('outside', 'the node port'))))
  expect(new Set(fates).size).toBe(1)
})
