// A pod that sends as somebody else: whatever policies say, nobody gets it.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { networkPolicy, type WorldPolicies } from '../../src/policy/small-world.fixture.ts'
import { PolicyNodes, type Shot } from './policy-nodes.ts'

let nodes: PolicyNodes
beforeAll(async () => {
  nodes = await PolicyNodes.start()
})
afterAll(async () => {
  await nodes[Symbol.asyncDispose]()
})

const receivers = ['x/b', 'y/c', 'n1', 'n2', '203.0.113.7']
const protocols = ['TCP', 'UDP', 'SCTP', 'ICMP'] as const
const openToAll: WorldPolicies = {
  networkPolicies: [
    networkPolicy({ podSelector: {}, policyTypes: ['Ingress', 'Egress'], ingress: [{}], egress: [{}] }),
  ],
}
const worlds: readonly (readonly [string, WorldPolicies])[] = [
  ['without policies', {}],
  ['with policies that allow everything', openToAll],
  ['with a cluster policy that accepts everything', acceptAll()],
]

function acceptAll(): WorldPolicies {
  const everybody = { namespaces: {} }
  return {
    clusterNetworkPolicies: [
      {
        metadata: { name: 'open' },
        spec: {
          tier: 'Admin',
          priority: 1,
          subject: everybody,
          ingress: [{ action: 'Accept', from: [everybody] }],
          egress: [{ action: 'Accept', to: [everybody, { networks: ['0.0.0.0/0'] }] }],
        },
      },
    ],
  }
}

function arrivals(source: string | undefined): readonly boolean[] {
  const shots = receivers.flatMap((to) =>
    protocols.map((protocol): Shot => {
      const port = protocol === 'ICMP' ? 0 : 80
      return { from: 'x/a', to, packet: { protocol, port }, ...(source !== undefined && { source }) }
    }),
  )
  return nodes.shoot(shots)
}

describe.each(worlds)('%s', (_sentence, policies) => {
  beforeAll(() => nodes.become(policies))

  test('a pod’s own address arrives everywhere', () => {
    expect(new Set(arrivals(undefined))).toEqual(new Set([true]))
  })

  test.each([
    ['a pod’s of its namespace', '10.0.1.2'],
    ['a pod’s of another node', '10.0.2.3'],
    ['its node’s', '192.168.0.1'],
    ['another node’s', '192.168.0.2'],
    ['a Service’s', '10.96.0.1'],
    ['one outside', '198.51.100.9'],
    ['a link-local one', '169.254.1.1'],
  ])('%s does not', (_whose, source) => {
    expect(new Set(arrivals(source))).toEqual(new Set([false]))
  })
})
