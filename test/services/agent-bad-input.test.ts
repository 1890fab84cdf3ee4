import { afterAll, beforeAll, expect, it, test } from 'vitest'
import { ask, serveEcho } from '../clients/traffic.ts'
import type { JsonObject } from '../../src/kube/object.ts'
import { podAddresses, ProxiedNode, type RawObject, serviceOf, sliceOf } from './proxied-node.ts'

// Objects that no API server would accept, all at once, to a running agent. Each row is one bad object, or a pair.

const services = 'services'
const slices = 'endpointslices.discovery.k8s.io'
const patience = { timeout: 30_000, interval: 25 }
const [pod] = podAddresses
const good = { address: pod }
const port = { name: '', port: 8080, protocol: 'TCP' }
const old = { creationTimestamp: '2020-01-01T00:00:00Z' }

interface Row {
  readonly what: string
  readonly objects: readonly (readonly [storage: string, object: RawObject])[]
  /** Service, field, and a part of the sentence: with the value, and what would be valid. */
  readonly told: readonly (readonly [service: string, field: string, problem: string])[]
}

const service = (
  name: string,
  number: number,
  spec: JsonObject = {},
  meta: JsonObject = {},
): readonly [string, RawObject] => [
  services,
  serviceOf(name, { clusterIP: `10.96.1.${number}`, ports: [{ port: 80 }], ...spec }, meta),
]
const slice = (name: string, content: JsonObject, of = name): readonly [string, RawObject] => [
  slices,
  sliceOf(name, of, { addressType: 'IPv4', ports: [port], endpoints: [{ addresses: [pod] }], ...content }),
]

const rows: readonly Row[] = [
  {
    what: 'a port 0 beside a good one',
    objects: [service('zero', 1, { ports: [{ port: 0 }, { name: 'x', port: 81 }] })],
    told: [['zero', 'spec.ports[0].port', 'must be a whole number from 1 to 65535 (got 0)']],
  },
  {
    what: 'no address, and an address that is none',
    objects: [
      service('nowhere', 2),
      slice('nowhere', { endpoints: [{ addresses: [] }, { addresses: ['10.0.0.256'] }, { addresses: [pod] }] }),
    ],
    told: [
      ['nowhere', 'endpoints[0].addresses', 'must have at least one address (got none)'],
      ['nowhere', 'endpoints[1].addresses[0]', '"10.0.0.256" is not an IP address'],
    ],
  },
  {
    what: 'IPv6 in a slice of IPv4',
    objects: [service('mixed', 3), slice('mixed', { endpoints: [{ addresses: ['fd00::1'] }, { addresses: [pod] }] })],
    told: [['mixed', 'endpoints[0].addresses[0]', '"fd00::1" is not an IPv4 address, as the slice']],
  },
  {
    what: 'the metadata service and the node’s own loopback as endpoints',
    objects: [
      service('thief', 4),
      slice('thief', {
        endpoints: [{ addresses: ['169.254.169.254'] }, { addresses: ['127.0.0.1'] }, { addresses: [pod] }],
      }),
    ],
    told: [
      ['thief', 'endpoints[0].addresses[0]', '"169.254.169.254" is link-local'],
      ['thief', 'endpoints[1].addresses[0]', '"127.0.0.1" is loopback'],
    ],
  },
  {
    what: 'two Services with one address: the older has it',
    objects: [service('young', 5), slice('young', {}), service('elder', 5, { ports: [{ port: 80 }] }, old)],
    told: [['young', 'spec.clusterIPs', '10.96.1.5/TCP/80 belongs to the older Service default/elder']],
  },
  {
    what: 'two Services with one node port and one health check',
    objects: [service('lb-a', 6, loadBalancer(30_777, 31_777), old), service('lb-b', 7, loadBalancer(30_777, 31_777))],
    told: [
      ['lb-b', 'spec.ports[].nodePort', 'node/TCP/30777 belongs to the older Service default/lb-a'],
      ['lb-b', 'spec.healthCheckNodePort', '31777 belongs to the older Service default/lb-a'],
    ],
  },
  {
    what: 'text, lists and numbers where others belong',
    objects: [
      service('garbage', 8, { ports: 'http', type: 7, sessionAffinity: ['yes'], externalIPs: [{}, '203.0.113.9'] }),
      slice('garbage', { endpoints: 'none', ports: { http: 80 } }),
    ],
    told: [
      ['garbage', 'spec.ports', 'must be a list (got "http")'],
      ['garbage', 'spec.type', 'must be ClusterIP, NodePort, LoadBalancer, ExternalName (got 7)'],
      ['garbage', 'spec.sessionAffinity', 'must be None or ClientIP'],
      ['garbage', 'spec.externalIPs[0]', 'must be an IP address'],
      ['garbage', 'endpoints', 'must be a list (got "none")'],
      ['garbage', 'ports', 'must be a list'],
    ],
  },
  {
    what: 'a slice of a type that there is not',
    objects: [service('odd', 9), slice('odd', { addressType: 'IPX' })],
    told: [['odd', 'addressType', 'must be IPv4, IPv6, FQDN (got "IPX")']],
  },
  {
    what: 'a cluster IP that is none, and one that is everybody’s',
    objects: [service('banana', 10, { clusterIP: 'banana' }), service('self', 11, { clusterIP: '127.0.0.1' })],
    told: [
      ['banana', 'spec.clusterIP', '"banana" is not an IP address'],
      ['self', 'spec.clusterIP', '"127.0.0.1" is loopback'],
    ],
  },
  {
    what: 'two ports of one Service that are the same',
    objects: [
      service('twin', 12, {
        ports: [
          { name: 'a', port: 80 },
          { name: 'b', port: 80 },
        ],
      }),
    ],
    told: [['twin', 'spec.ports[1]', '10.96.1.12/TCP/80 is another of its ports already']],
  },
]

function loadBalancer(nodePort: number, healthCheckNodePort: number): JsonObject {
  return {
    type: 'LoadBalancer',
    externalTrafficPolicy: 'Local',
    healthCheckNodePort,
    ports: [{ port: 80, nodePort }],
  }
}

/** Whatever their metadata hold. */
const unreadable = serviceOf('unreadable', { clusterIP: '10.96.1.99' }, { labels: { a: 5 } })

let node: ProxiedNode
let client: string
let scope: AsyncDisposableStack

beforeAll(async () => {
  scope = new AsyncDisposableStack()
  node = scope.use(await ProxiedNode.start())
  const server = node.cluster.node.addPodNetns()
  expect(await node.cluster.add('server', server)).toBe(pod)
  scope.use(await serveEcho(node.cluster.node.directory, server, 8080))
  client = node.cluster.node.addPodNetns()
  await node.cluster.add('client', client)
  for (const { objects } of rows) for (const [storage, object] of objects) node.put(storage, object)
  node.put(services, unreadable)
  node.createService('good', { clusterIP: '10.96.0.90', ports: [{ port: 80, protocol: 'TCP' }] })
  node.setEndpoints('good', [good])
})
afterAll(async () => {
  await scope.disposeAsync()
})

it('a good Service among them works', async () => {
  // It came last: all before it have been taken.
  await expect.poll(() => ask(client, 'tcp', '10.96.0.90', 80), patience).toBe(podAddresses[1])
})

const problemsOf = (service: string) =>
  node.logged('services.problem').filter((problem) => problem['service'] === `default/${service}`)

test.each(rows)('$what: told once each', ({ told }) => {
  for (const [name, field, sentence] of told) {
    const found = problemsOf(name).filter((problem) => problem['field'] === field)
    expect(found, `${name} ${field}`).toHaveLength(1)
    expect(found[0]?.['problem']).toContain(sentence)
  }
  const names = new Set(told.map(([name]) => name))
  expect([...names].flatMap(problemsOf)).toHaveLength(told.length)
})

it('what cannot be read at all is told with its name', () => {
  const told = node.logged('kube.object.malformed')
  expect(told).toHaveLength(1)
  expect(told[0]).toMatchObject({
    resource: 'services',
    key: 'default/unreadable',
    errors: [{ field: 'metadata.labels.a' }],
  })
})

it.each(['zero', 'nowhere', 'mixed', 'thief', 'twin'])('Service %s leads to its good endpoint', async (name) => {
  const addresses = {
    zero: '10.96.1.1',
    nowhere: '10.96.1.2',
    mixed: '10.96.1.3',
    thief: '10.96.1.4',
    twin: '10.96.1.12',
  } as const
  const number = name === 'zero' ? 81 : 80
  if (name === 'zero' || name === 'twin')
    node.put(...slice(name, { ports: [{ ...port, name: name === 'zero' ? 'x' : 'a' }] }))
  const to = addresses[name as keyof typeof addresses]
  await expect.poll(() => ask(client, 'tcp', to, number), patience).toBe(podAddresses[1])
})

it('all are counted, shown in the status, and gone when they are solved', async () => {
  const expected = rows.reduce((sum, { told }) => sum + told.length, 0)
  const count = async (name: string): Promise<number> => (await node.metrics()).get(name) ?? NaN
  expect(await count('vcn_cni_service_problems')).toBe(expected)
  expect(await count('vcn_cni_service_problems_found_total')).toBe(expected)
  expect(await count('vcn_cni_service_malformed_objects')).toBe(1)
  const { problems = [], state } = (await node.status()) ?? {}
  expect(state).toBe('running')
  expect(problems.join('\n')).toContain('Service default/unreadable: metadata.labels.a')
  for (const { objects } of rows) {
    for (const [storage, object] of objects) node.remove(storage, object.metadata.name)
  }
  node.remove(services, 'unreadable')
  await expect.poll(() => count('vcn_cni_service_problems'), patience).toBe(0)
  expect(await count('vcn_cni_service_malformed_objects')).toBe(0)
  expect(node.logged('services.problem.solved')).toHaveLength(expected)
  expect(await ask(client, 'tcp', '10.96.0.90', 80)).toBe(podAddresses[1])
})
