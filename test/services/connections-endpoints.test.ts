import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EndpointManifest, ServiceManifest } from '../../src/proxy/manifests.fixture.ts'
import {
  at,
  both,
  draining,
  dying,
  forNode,
  forZone,
  local,
  node as model,
  slice,
  unready,
  vip,
  web,
} from '../../src/proxy/one-service.fixture.ts'
import { briefPatienceMs, type Place, ServiceNode } from './service-node.ts'

// Which endpoints real connections reach, by what the API says of the endpoints, and which doors there are.

let node: ServiceNode
beforeAll(() => {
  node = new ServiceNode()
})
afterAll(async () => {
  await node[Symbol.asyncDispose]()
})

type To = readonly [string, number]
const clusterIp: To = ['10.96.0.1', 80]
const nodePort: To = ['10.0.0.5', 30_001]
const externalIp: To = ['203.0.113.1', 80]
const loadBalancer: To = [vip.ip, 80]
const client = '203.0.113.77'
const ready = undefined

/** What 20 of one client's connections hear, or one that expects silence. */
async function answering(
  from: Place,
  [host, port]: To,
  isSilent: boolean,
  source?: string,
): Promise<readonly string[]> {
  if (isSilent) return [await node.ask(from, 'TCP', host, port, source, briefPatienceMs)]
  const answers = new Set<string>()
  for (let round = 0; round < 20; round++) answers.add(await node.ask(from, 'TCP', host, port, source))
  return [...answers].toSorted()
}

describe('endpoints', () => {
  const asPod = (...addresses: readonly string[]): string[] => addresses.map((one) => `${one}:8080 from 10.0.1.2`)
  const asNode = (...addresses: readonly string[]): string[] => addresses.map((one) => `${one}:8080 from 10.0.0.5`)
  const asClient = (...addresses: readonly string[]): string[] => addresses.map((one) => `${one}:8080 from ${client}`)

  const onHost: readonly EndpointManifest[] = [{ addresses: ['10.0.0.5'], nodeName: 'here' }]

  test.each<readonly [string, Place, To, ServiceManifest['spec'], readonly EndpointManifest[], string[]]>([
    [
      'that are not ready get nothing while one is',
      'here2',
      clusterIp,
      {},
      [at('here', draining), at('there'), at('there2', unready)],
      asPod('10.0.2.1'),
    ],
    [
      'that terminate and serve are used when none is ready',
      'here2',
      clusterIp,
      {},
      [at('here', draining), at('there', dying), at('there2', unready)],
      asPod('10.0.1.1'),
    ],
    ['that terminate and serve no more are none', 'here2', clusterIp, {}, [at('here', dying)], ['ECONNREFUSED']],
    [
      'of policy Local fall back to terminating ones although others are ready elsewhere',
      'outside',
      nodePort,
      local,
      [at('here', draining), at('there')],
      asClient('10.0.1.1'),
    ],
    [
      'of policy Local do not fall back for a pod, who may go elsewhere',
      'here2',
      nodePort,
      local,
      [at('here', draining), at('there')],
      asPod('10.0.2.1'),
    ],
    [
      'for this node are preferred',
      'here2',
      clusterIp,
      {},
      [at('here', ready, forNode('here')), at('there', ready, forNode('there'))],
      asPod('10.0.1.1'),
    ],
    [
      'for this zone are preferred',
      'here2',
      clusterIp,
      {},
      [at('here', ready, forZone('z2')), at('there', ready, forZone('z1')), at('there2', ready, forZone('z1', 'z2'))],
      asPod('10.0.2.1', '10.0.2.2'),
    ],
    [
      'are all used when one has no hint',
      'here2',
      clusterIp,
      {},
      [at('here'), at('there', ready, forZone('z1'))],
      asPod('10.0.1.1', '10.0.2.1'),
    ],
    [
      'are all used when none is for this zone',
      'here2',
      clusterIp,
      {},
      [at('here', ready, forZone('z2')), at('there', ready, forZone('z3'))],
      asPod('10.0.1.1', '10.0.2.1'),
    ],
    ['of an external address follow policy Local', 'outside', externalIp, local, both, asClient('10.0.1.1')],
    ['of an external address, none here', 'outside', externalIp, local, [at('there')], ['silence']],
    ['on the node’s own network answer a pod', 'here2', clusterIp, {}, onHost, asPod('10.0.0.5')],
    ['on the node’s own network answer the node', 'host', clusterIp, {}, onHost, asNode('10.0.0.5')],
    [
      'on the node’s own network see the client, whatever the policy',
      'outside',
      nodePort,
      {},
      onHost,
      asClient('10.0.0.5'),
    ],
    ['of a load balancer are asked as the node', 'outside', loadBalancer, {}, [at('there')], asNode('10.0.2.1')],
    ['of a load balancer follow policy Local', 'outside', loadBalancer, local, both, asClient('10.0.1.1')],
    [
      'of a load balancer are open to all from 0.0.0.0/0',
      'outside',
      loadBalancer,
      { loadBalancerSourceRanges: ['0.0.0.0/0'] },
      [at('here')],
      asNode('10.0.1.1'),
    ],
  ])('%s', async (_sentence, from, to, spec, endpoints, expected) => {
    const type = to === loadBalancer ? 'LoadBalancer' : 'NodePort'
    await node.become({ services: [web({ type, ...spec }, [vip])], slices: [slice(endpoints)], node: model })
    const source = from === 'outside' ? client : undefined
    expect(await answering(from, to, expected[0] === 'silence', source)).toEqual(expected)
  })
})

describe('doors', () => {
  const notTranslated = ['silence']

  test.each<readonly [string, Place, To, string[]]>([
    ['a load balancer of mode Proxy gets its packets itself', 'here2', ['198.51.100.2', 80], notTranslated],
    ['a port of a cluster IP that no Service has is nobody’s', 'here2', ['10.96.0.1', 81], notTranslated],
    ['a node port is not at the cluster IP', 'here2', ['10.96.0.1', 30_001], notTranslated],
    ['a node port is not on the loopback', 'host', ['127.0.0.1', 30_001], ['ECONNREFUSED']],
    ['a Service’s port is not on the node', 'outside', ['10.0.0.5', 80], ['ECONNREFUSED']],
    ['a node port is on the node', 'host', ['10.0.0.5', 30_001], ['10.0.1.1:8080 from 10.0.0.5']],
  ])('%s', async (_sentence, from, to, expected) => {
    const service = web({ type: 'LoadBalancer' }, [{ ip: '198.51.100.2', ipMode: 'Proxy' }])
    await node.become({ services: [service], slices: [slice([at('here')])], node: model })
    expect(await answering(from, to, expected[0] === 'silence')).toEqual(expected)
  })

  test('each port of a Service leads to its own target', async () => {
    const service = web({
      ports: [
        { name: 'a', port: 80 },
        { name: 'b', port: 443 },
      ],
    })
    const ports = [
      { name: 'a', port: 8080 },
      { name: 'b', port: 8443 },
    ]
    await node.become({ services: [service], slices: [slice([at('here')], { ports })], node: model })
    expect(await node.ask('here2', 'TCP', '10.96.0.1', 80)).toBe('10.0.1.1:8080 from 10.0.1.2')
    expect(await node.ask('here2', 'TCP', '10.96.0.1', 443)).toBe('10.0.1.1:8443 from 10.0.1.2')
  })

  test('two protocols at one port are two doors', async () => {
    const service = web({
      ports: [
        { name: 'dns', port: 53, protocol: 'UDP' },
        { name: 'dns-tcp', port: 53 },
      ],
    })
    const ports = [
      { name: 'dns', port: 8080, protocol: 'UDP' },
      { name: 'dns-tcp', port: 8443 },
    ]
    await node.become({ services: [service], slices: [slice([at('here')], { ports })], node: model })
    expect(await node.ask('here2', 'UDP', '10.96.0.1', 53)).toBe('10.0.1.1:8080 from 10.0.1.2')
    expect(await node.ask('here2', 'TCP', '10.96.0.1', 53)).toBe('10.0.1.1:8443 from 10.0.1.2')
  })
})

test('affinity ends some time after the last connection', { timeout: 120_000 }, async () => {
  const spec: ServiceManifest['spec'] = {
    sessionAffinity: 'ClientIP',
    sessionAffinityConfig: { clientIP: { timeoutSeconds: 1 } },
  }
  const endpoints = [at('here'), at('here2'), at('there'), at('there2')]
  await node.become({ services: [web(spec)], slices: [slice(endpoints)], node: model })
  const ask = (): Promise<string> => node.ask('outside', 'TCP', ...clusterIp, client)
  const first = await ask()
  expect(first).toContain(':8080 from 10.0.0.5')
  // Every connection prolongs it: the pauses must be longer than the timeout.
  await expect.poll(ask, { interval: 1_500, timeout: 100_000 }).not.toBe(first)
})
