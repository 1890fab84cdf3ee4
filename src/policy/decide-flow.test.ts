import { describe, expect, test } from 'vitest'
import type { DirectionDecision } from './decide-flow.ts'
import { clusterPolicy, networkPolicy, World } from './small-world.fixture.ts'

const web = networkPolicy(
  {
    podSelector: { matchLabels: { pod: 'a' } },
    ingress: [
      { from: [{ podSelector: { matchLabels: { pod: 'b' } } }], ports: [{ port: 80 }] },
      { from: [{ ipBlock: { cidr: '203.0.113.0/24', except: ['203.0.113.128/25'] } }] },
    ],
  },
  { name: 'web', namespace: 'x' },
)
const quarantine = clusterPolicy(
  { ingress: [{ action: 'Deny', from: [{ namespaces: { matchLabels: { ns: 'z' } } }] }] },
  'quarantine',
)
const baseline = clusterPolicy(
  { tier: 'Baseline', egress: [{ action: 'Deny', to: [{ networks: ['198.51.100.0/24'] }] }] },
  'no-test-net',
)
const world = new World({ networkPolicies: [web], clusterNetworkPolicies: [quarantine, baseline] })
const policy = { kind: 'NetworkPolicy', key: 'x/web' } as const

describe('what decides', () => {
  const rows: readonly (readonly [string, string, 'ingress' | 'egress', DirectionDecision])[] = [
    [
      'a rule of a policy, by its number and the peer that it names',
      'x/b x/a 80/TCP',
      'ingress',
      {
        isAllowed: true,
        by: 'rule',
        tier: 'network',
        policy,
        rule: { index: 0, action: 'accept' },
        peer: 'pods with pod in (b) of namespace x',
      },
    ],
    [
      'a block, without its exception',
      '203.0.113.7 x/a 1/UDP',
      'ingress',
      {
        isAllowed: true,
        by: 'rule',
        tier: 'network',
        policy,
        rule: { index: 1, action: 'accept' },
        peer: 'addresses 203.0.113.0/25',
      },
    ],
    ['isolation', 'x/c x/a 80/TCP', 'ingress', { isAllowed: false, by: 'isolation', policies: [policy] }],
    [
      'a rule of the admin’s',
      'z/a x/a 80/TCP',
      'ingress',
      {
        isAllowed: false,
        by: 'rule',
        tier: 'admin',
        policy: { kind: 'ClusterNetworkPolicy', key: 'quarantine' },
        rule: { index: 0, action: 'deny' },
        peer: 'every pod of namespaces with ns in (z)',
      },
    ],
    [
      'a rule of the baseline',
      'x/a 198.51.100.1 80/TCP',
      'egress',
      {
        isAllowed: false,
        by: 'rule',
        tier: 'baseline',
        policy: { kind: 'ClusterNetworkPolicy', key: 'no-test-net' },
        rule: { index: 0, action: 'deny' },
        peer: 'addresses 198.51.100.0/24',
      },
    ],
    ['nothing', 'x/a y/a 80/TCP', 'ingress', { isAllowed: true, by: 'default' }],
    ['that an end has no policies', '203.0.113.7 y/a 80/TCP', 'egress', { isAllowed: true, by: 'no subject' }],
    ['that it is the pod’s own node', 'n1 x/a 80/TCP', 'ingress', { isAllowed: true, by: 'own node' }],
    ['that it is the pod itself', 'x/a x/a 80/TCP', 'egress', { isAllowed: true, by: 'itself' }],
    ['that nobody knows the pod', 'x/d y/a 80/TCP', 'egress', { isAllowed: false, by: 'unknown pod' }],
  ]
  test.each(rows)('%s', (_what, flow, direction, expected) => {
    const [from = '', to = '', traffic = ''] = flow.split(' ')
    expect(world.decide(from, to, traffic)[direction]).toEqual(expected)
  })
})
