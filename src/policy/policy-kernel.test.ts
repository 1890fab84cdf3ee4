import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseIpv4 } from '../base/ip.ts'
import { unwrap } from '../base/result.ts'
import { NatFlows } from '../linux/nat-flows.fixture.ts'
import { Libnftables } from '../nftables/libnftables.ts'
import { NftablesWriter } from '../nftables/writer.ts'
import { changesOf, editsOf } from './cluster-state.fixture.ts'
import type { NetworkPolicyManifest } from './manifests.fixture.ts'
import { PolicyIndex } from './policy-index.ts'
import { type PodInterface, PolicyRuleset } from './policy-rules.ts'
import { policyTableName } from './rule-names.ts'
import { networkPolicy, smallWorld, worldPod } from './small-world.fixture.ts'

const { signal } = new AbortController()

/** x/a is the client at interface c, y/a the first endpoint at interface e. */
const addresses = { x: '10.0.0.1', y: '10.1.0.2' } as const
const interfaces: readonly PodInterface[] = [
  { name: 'c', addresses: [unwrap(parseIpv4(addresses.x))], subject: { kind: 'pod', key: 'x/a' } },
  { name: 'e', addresses: [unwrap(parseIpv4(addresses.y))], subject: { kind: 'pod', key: 'y/a' } },
]
const pods = (['x', 'y'] as const).map((namespace) => {
  const pod = worldPod(namespace, 'a')
  return { ...pod, status: { ...pod.status, podIP: addresses[namespace] } }
})
const sends = networkPolicy({
  podSelector: {},
  policyTypes: ['Ingress', 'Egress'],
  egress: [{ to: [{ namespaceSelector: { matchLabels: { ns: 'y' } } }], ports: [{ port: 'http' }] }],
})
const yOnly = (ingress: NetworkPolicyManifest['spec']['ingress']): NetworkPolicyManifest =>
  networkPolicy({ podSelector: {}, ingress: ingress ?? [] }, { name: 'p', namespace: 'y' })

describe('a real connection from x/a to y/a', () => {
  let flows: NatFlows
  let sourcePort = 20_000
  beforeAll(async () => {
    flows = new NatFlows()
    await flows.serveTcp(addresses.y, 80, 'web')
  })
  afterAll(() => flows[Symbol.dispose]())

  const rows: readonly (readonly [string, readonly NetworkPolicyManifest[], string])[] = [
    ['is made without policies', [], 'web'],
    [
      'is made when egress to its named port and ingress from its namespace are allowed; the answer needs no rule',
      [sends, yOnly([{ from: [{ namespaceSelector: { matchLabels: { ns: 'x' } } }] }])],
      'web',
    ],
    ['is not made when only its egress is allowed', [sends, yOnly([])], ''],
  ]
  test.each(rows)('%s', async (_name, networkPolicies, heard) => {
    const change = new PolicyIndex('n1').apply(changesOf(editsOf({ ...smallWorld, networkPolicies, pods })))
    const ruleset = new PolicyRuleset({ localPods: 'c' })
    ruleset.apply({
      ...change,
      interfaces: interfaces.map((after) => ({ key: after.name, before: undefined, after })),
    })
    const library = unwrap(Libnftables.load())
    await using writer = new NftablesWriter({ library, family: 'ip', name: policyTableName, netns: flows.node.fd })
    unwrap(await writer.apply(ruleset.table(), signal))
    expect(flows.ask('TCP', addresses.y, 80, sourcePort++)).toBe(heard)
  })
})
