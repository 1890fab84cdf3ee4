import { describe, expect, test } from 'vitest'
import { parseIpv4 } from '../base/ip.ts'
import { unwrap } from '../base/result.ts'
import { expectKernelToTake, textOfTable } from '../nftables/golden-table.fixture.ts'
import { changesOf, editsOf } from './cluster-state.fixture.ts'
import type { NetworkPolicyManifest } from './manifests.fixture.ts'
import { PolicyIndex } from './policy-index.ts'
import { type PodInterface, PolicyRuleset } from './policy-rules.ts'
import type { Change } from './policy-table.ts'
import { clusterPolicy, networkPolicy, smallWorld, worldAddress, type WorldPolicies } from './small-world.fixture.ts'

const ofA = { matchLabels: { pod: 'a' } }
const ofB = { matchLabels: { pod: 'b' } }
const one = (spec: Omit<NetworkPolicyManifest['spec'], 'podSelector'>): WorldPolicies => ({
  networkPolicies: [networkPolicy({ podSelector: ofA, ...spec })],
})

const features: readonly (readonly [string, WorldPolicies])[] = [
  ['nothing', {}],
  ['isolated', one({})],
  [
    'peers-and-ports',
    one({ ingress: [{ from: [{ podSelector: ofB }, { namespaceSelector: {} }], ports: [{ port: 80 }] }] }),
  ],
  [
    'port-list',
    one({
      ingress: [
        { ports: [{ port: 80 }, { port: 8000, endPort: 8080 }, { protocol: 'UDP', port: 53 }] },
        { ports: [{ protocol: 'SCTP' }] },
      ],
    }),
  ],
  ['blocks', one({ ingress: [{ from: [{ ipBlock: { cidr: '203.0.113.0/24', except: ['203.0.113.64/26'] } }] }] })],
  [
    'named-ports',
    one({
      policyTypes: ['Ingress', 'Egress'],
      ingress: [{ ports: [{ port: 'http' }] }],
      egress: [{ to: [{ namespaceSelector: {} }], ports: [{ port: 'http' }] }],
    }),
  ],
  [
    'two-policies',
    {
      networkPolicies: [
        networkPolicy({ podSelector: {}, ingress: [{ from: [{ podSelector: ofB }] }] }),
        networkPolicy({ podSelector: ofA, ingress: [{}] }, { name: 'q', namespace: 'x' }),
      ],
    },
  ],
  [
    'tiers',
    {
      networkPolicies: [networkPolicy({ podSelector: ofA, ingress: [{}] })],
      clusterNetworkPolicies: [
        clusterPolicy({
          ingress: [
            { action: 'Pass', from: [{ namespaces: { matchLabels: { ns: 'y' } } }] },
            { action: 'Deny', from: [{ namespaces: {} }], protocols: [{ tcp: { destinationPort: { number: 22 } } }] },
          ],
          egress: [{ action: 'Accept', to: [{ networks: ['198.51.100.0/24', '203.0.113.0/24'] }] }],
        }),
        clusterPolicy({ tier: 'Baseline', ingress: [{ action: 'Deny', from: [{ namespaces: {} }] }] }, 'base'),
      ],
    },
  ],
]

const interfaces = ['a', 'b'].map((name): Change<PodInterface> => {
  const after = {
    name: `oci-x-${name}`,
    addresses: [unwrap(parseIpv4(worldAddress('x', name)))],
    subject: { kind: 'pod', key: `x/${name}` } as const,
  }
  return { key: after.name, before: undefined, after }
})

describe.each(features)('%s', (name, policies) => {
  const change = new PolicyIndex('n1').apply(changesOf(editsOf({ ...smallWorld, ...policies })))
  const ruleset = new PolicyRuleset({ localPods: 'oci*' })
  ruleset.apply({ ...change, interfaces })
  const table = ruleset.table()

  test('is written as in testdata', async () => {
    await expect(textOfTable(table)).toMatchFileSnapshot(`./testdata/${name}.nft`)
  })

  test('is what the kernel has then', () => expectKernelToTake(table))
})
