import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EndpointManifest, ServiceManifest } from '../../src/proxy/manifests.fixture.ts'
import { at, both, local, node as model, slice, vip, web } from '../../src/proxy/one-service.fixture.ts'
import { briefPatienceMs, type Place, ServiceNode } from './service-node.ts'

let node: ServiceNode

beforeAll(() => {
  node = new ServiceNode()
})
afterAll(async () => {
  await node[Symbol.asyncDispose]()
})

const ports = (protocol: string): ServiceManifest['spec'] => ({
  type: 'NodePort',
  ports: [{ port: 80, protocol, nodePort: 30_001 }],
})
const become = (spec: ServiceManifest['spec'], endpoints: readonly EndpointManifest[], vips: readonly object[] = []) =>
  node.become({
    services: [web({ ...ports('TCP'), ...spec }, vips)],
    slices: [slice(endpoints, { ports: [{ name: '', port: 8080, protocol: spec.ports?.[0]?.protocol ?? 'TCP' }] })],
    node: model,
  })
const clusterIp = ['10.96.0.1', 80] as const
const nodePort = ['10.0.0.5', 30_001] as const
const externalIp = ['203.0.113.1', 80] as const
const twentyTimes = async (ask: () => Promise<string>): Promise<readonly string[]> => {
  const answers = new Set<string>()
  for (let round = 0; round < 20; round++) answers.add(await ask())
  return [...answers].toSorted()
}

describe.each(['TCP', 'UDP'] as const)('%s', (protocol) => {
  type Row = readonly [string, Place, readonly [string, number], ServiceManifest['spec'], EndpointManifest[], string[]]
  const silent: readonly string[] = ['silence']
  test.each<Row>([
    ['a pod reaches the one backend', 'here2', clusterIp, {}, [at('here')], ['10.0.1.1:8080 from 10.0.1.2']],
    ['a pod reaches a remote backend as itself', 'here', clusterIp, {}, [at('there')], ['10.0.2.1:8080 from 10.0.1.9']],
    [
      'a pod reaches all backends',
      'here2',
      clusterIp,
      {},
      both,
      ['10.0.1.1:8080 from 10.0.1.2', '10.0.2.1:8080 from 10.0.1.2'],
    ],
    ['a pod reaches itself as the node', 'here', clusterIp, {}, [at('here')], ['10.0.1.1:8080 from 10.0.0.5']],
    ['the host reaches a pod', 'host', clusterIp, {}, [at('here')], ['10.0.1.1:8080 from 10.0.0.5']],
    ['a client outside is masqueraded', 'outside', clusterIp, {}, [at('here')], ['10.0.1.1:8080 from 10.0.0.5']],
    ['a pod without backends is refused', 'here', clusterIp, {}, [], ['ECONNREFUSED']],
    ['the host without backends is refused', 'host', clusterIp, {}, [], ['ECONNREFUSED']],
    ['a node port from outside', 'outside', nodePort, {}, [at('there')], ['10.0.2.1:8080 from 10.0.0.5']],
    ['a node port from the host', 'host', nodePort, {}, [at('here2')], ['10.0.1.2:8080 from 10.0.0.5']],
    ['an external address from outside', 'outside', externalIp, {}, [at('here2')], ['10.0.1.2:8080 from 10.0.0.5']],
    ['a node port, no backends', 'outside', nodePort, {}, [], ['ECONNREFUSED']],
    ['policy Local keeps the client', 'outside', nodePort, local, both, ['10.0.1.1:8080 from 203.0.113.77']],
    ['policy Local, none here', 'outside', nodePort, local, [at('there')], [...silent]],
    ['policy Local, from a pod', 'here2', nodePort, local, [at('there')], ['10.0.2.1:8080 from 10.0.1.2']],
    ['policy Local, from the host', 'host', nodePort, local, [at('there')], ['10.0.2.1:8080 from 10.0.0.5']],
    [
      'internal policy Local',
      'here2',
      clusterIp,
      { internalTrafficPolicy: 'Local' },
      both,
      ['10.0.1.1:8080 from 10.0.1.2'],
    ],
  ])('%s', async (_sentence, from, to, spec, endpoints, expected) => {
    await become({ ...spec, ...ports(protocol) }, endpoints)
    // Two pods' addresses and two of outside: which of them asks.
    const source =
      from === 'outside' ? '203.0.113.77' : expected[0]?.endsWith('from 10.0.1.9') === true ? '10.0.1.9' : undefined
    const isSilent = expected[0] === 'silence'
    const patienceMs = isSilent ? briefPatienceMs : undefined
    const ask = (): Promise<string> => node.ask(from, protocol, ...to, source, patienceMs)
    expect(isSilent ? [await ask()] : await twentyTimes(ask)).toEqual(expected)
  })
})

test('affinity keeps a client at its endpoint, until that one goes', async () => {
  const spec: ServiceManifest['spec'] = { sessionAffinity: 'ClientIP' }
  const endpoints = [at('here'), at('here2'), at('there')]
  await become(spec, endpoints)
  const asks: readonly [Place, readonly [string, number]][] = [
    ['outside', nodePort],
    ['outside', clusterIp],
    ['here2', clusterIp],
    ['host', clusterIp],
  ]
  for (const [place, to] of asks) {
    const first = await twentyTimes(() => node.ask(place, 'TCP', ...to))
    expect(first, place).toHaveLength(1)
    const chosen = first[0]?.split(':')[0] ?? ''
    await become(
      spec,
      endpoints.filter(({ addresses }) => addresses?.[0] !== chosen),
    )
    const second = await twentyTimes(() => node.ask(place, 'TCP', ...to))
    expect(second, place).toHaveLength(1)
    expect(second[0]).not.toContain(`${chosen}:`)
    expect(second[0]).toContain(' from ')
    await become(spec, endpoints)
    expect(await twentyTimes(() => node.ask(place, 'TCP', ...to))).toEqual(second)
  }
})

test('policy Local takes a client with affinity away from another node’s endpoint', async () => {
  const spec: ServiceManifest['spec'] = { sessionAffinity: 'ClientIP' }
  const client = '203.0.113.77'
  await become(spec, [at('there')])
  expect(await node.ask('outside', 'TCP', ...nodePort, client)).toBe('10.0.2.1:8080 from 10.0.0.5')
  await become(spec, both)
  expect(await node.ask('outside', 'TCP', ...nodePort, client)).toBe('10.0.2.1:8080 from 10.0.0.5')
  await become({ ...spec, ...local }, both)
  expect(await node.ask('outside', 'TCP', ...nodePort, client)).toBe(`10.0.1.1:8080 from ${client}`)
})

test('a load balancer’s source ranges admit some, and its node port everybody', async () => {
  await become(
    { type: 'LoadBalancer', loadBalancerSourceRanges: ['192.0.2.0/24', '192.0.2.7/32'] },
    [at('here')],
    [vip],
  )
  const ask = (to: readonly [string, number], source: string, patienceMs?: number): Promise<string> =>
    node.ask('outside', 'TCP', ...to, source, patienceMs)
  expect(await ask([vip.ip, 80], '192.0.2.7')).toBe('10.0.1.1:8080 from 10.0.0.5')
  expect(await ask([vip.ip, 80], '203.0.113.77', briefPatienceMs)).toBe('silence')
  expect(await ask(nodePort, '203.0.113.77')).toBe('10.0.1.1:8080 from 10.0.0.5')
})

test('a removed endpoint gets no connection, by a change of elements alone', async () => {
  await become({}, [at('here'), at('here2'), at('there')])
  await become({}, [at('here'), at('there')])
  expect(await become({}, [at('here'), at('here2'), at('there')])).toBe('elements')
  expect(await become({}, [at('here2'), at('there')])).toBe('elements')
  const answers = await twentyTimes(() => node.ask('outside', 'TCP', ...clusterIp))
  expect(answers).toEqual(['10.0.1.2:8080 from 10.0.0.5', '10.0.2.1:8080 from 10.0.0.5'])
})
