import type { ClusterNetworkPolicyManifest } from './manifests.fixture.ts'
import { clusterPolicy, networkPolicy, type SemanticsRow } from './small-world.fixture.ts'

const pod = (name: string): { matchLabels: { pod: string } } => ({ matchLabels: { pod: name } })
const ns = (name: string): { matchLabels: { ns: string } } => ({ matchLabels: { ns: name } })
const admin = (
  action: 'Accept' | 'Deny' | 'Pass',
  from: object,
  priority = 10,
): readonly ClusterNetworkPolicyManifest[] => [
  clusterPolicy({ priority, subject: { namespaces: ns('x') }, ingress: [{ action, from: [from] }] }, `c${priority}`),
]
const isolated = [networkPolicy({ podSelector: {} })]
const open = [networkPolicy({ podSelector: {}, ingress: [{}] })]

export const clusterPolicyRows: readonly SemanticsRow[] = [
  [
    'Deny denies what it matches and isolates nobody',
    { clusterNetworkPolicies: admin('Deny', { namespaces: ns('y') }) },
    { 'y/a x/a': false, 'z/a x/a': true, 'x/a y/a': true, '203.0.113.7 x/a': true },
  ],
  [
    'Admin goes before NetworkPolicy',
    { clusterNetworkPolicies: admin('Deny', { namespaces: ns('y') }), networkPolicies: open },
    { 'y/a x/a': false, 'z/a x/a': true },
  ],
  [
    'Accept overrides isolation',
    { clusterNetworkPolicies: admin('Accept', { namespaces: ns('y') }), networkPolicies: isolated },
    { 'y/a x/a': true, 'z/a x/a': false },
  ],
  [
    'Accept of egress does not speak for the destination',
    {
      clusterNetworkPolicies: [clusterPolicy({ egress: [{ action: 'Accept', to: [{ namespaces: {} }] }] })],
      networkPolicies: isolated,
    },
    { 'y/a x/a': false, 'x/a y/a': true },
  ],
  [
    'Pass leaves it to NetworkPolicy, past the later rules of the tier',
    {
      clusterNetworkPolicies: [
        ...admin('Pass', { pods: { namespaceSelector: {}, podSelector: pod('a') } }, 1),
        ...admin('Deny', { namespaces: {} }, 2),
      ],
    },
    { 'y/a x/a': true, 'y/b x/a': false },
  ],
  [
    'lower priorities go first',
    {
      clusterNetworkPolicies: [
        ...admin('Deny', { namespaces: {} }, 20),
        ...admin('Accept', { namespaces: ns('y') }, 3),
      ],
    },
    { 'y/a x/a': true, 'z/a x/a': false },
  ],
  [
    'Baseline is asked where no NetworkPolicy isolates',
    {
      clusterNetworkPolicies: [
        clusterPolicy({ tier: 'Baseline', ingress: [{ action: 'Deny', from: [{ namespaces: {} }] }] }),
      ],
      networkPolicies: open,
    },
    { 'z/a x/a': true, 'z/a y/a': false, '203.0.113.7 y/a': true },
  ],
  [
    'networks are destinations, pods in them too; ICMP matches rules without protocols',
    {
      clusterNetworkPolicies: [
        clusterPolicy({ egress: [{ action: 'Deny', to: [{ networks: ['203.0.113.0/24', '10.0.2.0/30'] }] }] }),
      ],
    },
    { 'x/a 203.0.113.7 ICMP': false, 'x/a y/a': false, 'x/a z/a': true },
  ],
  [
    'protocols narrow a rule, names are the destination’s',
    {
      clusterNetworkPolicies: [
        clusterPolicy({
          egress: [
            {
              action: 'Deny',
              to: [{ namespaces: {} }],
              protocols: [{ destinationNamedPort: 'http' }, { sctp: { destinationPort: { number: 7 } } }],
            },
          ],
        }),
      ],
    },
    { 'x/a y/b 81/TCP': false, 'x/a y/b 80/TCP': true, 'x/a y/b 7/SCTP': false, 'x/a y/b ICMP': true },
  ],
  [
    'a rule of egress is the source’s',
    {
      clusterNetworkPolicies: [
        clusterPolicy({
          subject: { namespaces: ns('x') },
          egress: [{ action: 'Deny', to: [{ pods: { namespaceSelector: ns('y'), podSelector: pod('a') } }] }],
        }),
      ],
    },
    { 'x/a y/a': false, 'x/a y/b': true, 'y/a x/a': true, 'z/a y/a': true },
  ],
  [
    'a subject of pods is those of both selectors',
    {
      clusterNetworkPolicies: [
        clusterPolicy({
          subject: { pods: { namespaceSelector: ns('x'), podSelector: pod('a') } },
          ingress: [{ action: 'Deny', from: [{ namespaces: {} }] }],
        }),
      ],
    },
    { 'y/a x/a': false, 'y/a x/b': true, 'x/a y/a': true, '203.0.113.7 x/a': true },
  ],
  [
    'within a policy the first rule that matches decides',
    {
      clusterNetworkPolicies: [
        clusterPolicy({
          subject: { namespaces: ns('x') },
          ingress: [
            { action: 'Accept', from: [{ namespaces: ns('y') }] },
            { action: 'Deny', from: [{ namespaces: {} }] },
            { action: 'Accept', from: [{ namespaces: {} }] },
          ],
        }),
      ],
    },
    { 'y/a x/a': true, 'z/a x/a': false },
  ],
  [
    'Pass of the last tier accepts',
    {
      clusterNetworkPolicies: [
        clusterPolicy({
          tier: 'Baseline',
          ingress: [
            { action: 'Pass', from: [{ namespaces: ns('y') }] },
            { action: 'Deny', from: [{ namespaces: {} }] },
          ],
        }),
      ],
    },
    { 'y/a x/a': true, 'z/a x/a': false },
  ],
  [
    'Baseline may accept what a later rule of it denies, and Admin goes before both',
    {
      clusterNetworkPolicies: [
        ...admin('Deny', { namespaces: ns('z') }),
        clusterPolicy({ tier: 'Baseline', ingress: [{ action: 'Accept', from: [{ namespaces: {} }] }] }),
      ],
    },
    { 'y/a x/a': true, 'z/a x/a': false, 'z/a y/a': true },
  ],
  // Fails closed, also past the rules after it: see src/kube/cluster-network-policy.ts.
  ...(['Accept', 'Deny', 'Pass'] as const).map((action): SemanticsRow => {
    const isAccept = action === 'Accept'
    return [
      `of an unknown peer ${action} ${isAccept ? 'accepts nothing' : 'denies everything'}`,
      {
        clusterNetworkPolicies: [
          ...admin(action, { domainNames: ['example.com'] }, 1),
          ...admin('Accept', { namespaces: ns('y') }, 2),
        ],
        networkPolicies: isolated,
      },
      { 'y/a x/a': isAccept, 'z/a x/a': false, 'y/a z/a': true },
    ]
  }),
  [
    'a priority that is none leaves only the rules that deny, after all other policies of the tier',
    {
      clusterNetworkPolicies: [
        clusterPolicy(
          {
            priority: 5000,
            subject: { namespaces: ns('x') },
            ingress: [
              { action: 'Accept', from: [{ namespaces: ns('z') }] },
              { action: 'Pass', from: [{ pods: { namespaceSelector: ns('y'), podSelector: pod('b') } }] },
              { action: 'Deny', from: [{ namespaces: ns('y') }] },
            ],
          },
          'misplaced',
        ),
        ...admin('Accept', { pods: { namespaceSelector: ns('y'), podSelector: pod('c') } }, 1000),
      ],
      networkPolicies: [networkPolicy({ podSelector: pod('a') })],
    },
    { 'z/a x/a': false, 'y/b x/b': false, 'y/a x/b': false, 'z/a x/b': true, 'y/c x/b': true },
  ],
]
