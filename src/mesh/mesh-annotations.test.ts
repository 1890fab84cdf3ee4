import { expect, test } from 'vitest'
import type { MeshPod } from '../kube/mesh-pod.ts'
import { decideRedirection } from './decide-redirection.ts'
import { genericPod, istioPod, istioTproxy, linkerdPod, traffic } from './redirections.fixture.ts'

const own = [15_008, 15_020, 15_021, 15_090].map((port) => ({ from: port, to: port }))
test.each<readonly [string, MeshPod, object]>([
  [
    'nothing for Istio',
    istioPod(),
    {
      inbound: { mode: 'redirect', proxyPort: 15_006, ports: 'all', excludedPorts: own, excludedSources: [] },
      outbound: { isOn: true, proxyPort: 15_001, ports: [], excludedPorts: [], blocks: 'all', excludedBlocks: [] },
      proxy: { uids: [1337], gids: [1337] },
      excludedInterfaces: [],
    },
  ],
  [
    'all ports in words',
    istioPod(traffic({ includeInboundPorts: '*', includeOutboundPorts: ' * ' })),
    { inbound: { ports: 'all' }, outbound: { ports: 'all' } },
  ],
  [
    'ports with spaces between',
    istioPod(traffic({ excludeOutboundPorts: ' 80, 443 ,81' })),
    {
      outbound: {
        excludedPorts: [
          { from: 80, to: 81 },
          { from: 443, to: 443 },
        ],
      },
    },
  ],
  [
    'no port at all',
    istioPod(traffic({ includeInboundPorts: '', excludeOutboundPorts: '' })),
    { inbound: { ports: [], excludedPorts: own }, outbound: { excludedPorts: [] } },
  ],
  [
    'exclusions of a list, which Istio takes of all ports only',
    istioPod(traffic({ includeInboundPorts: '80', excludeInboundPorts: '80' })),
    { inbound: { ports: [{ from: 80, to: 80 }], excludedPorts: own } },
  ],
  [
    'blocks with host bits, and an address',
    istioPod(traffic({ excludeOutboundIPRanges: '10.1.2.3/8,192.0.2.1,fd00::1' })),
    {
      outbound: {
        excludedBlocks: [
          { address: '10.0.0.0', prefixLength: 8 },
          { address: '192.0.2.1', prefixLength: 32 },
          { address: 'fd00::1', prefixLength: 128 },
        ],
      },
    },
  ],
  ['no block', istioPod(traffic({ includeOutboundIPRanges: '' })), { outbound: { blocks: [] } }],
  [
    'TPROXY of a sidecar that is root',
    istioPod(istioTproxy, { runAsUser: 0 }),
    { inbound: { mode: 'tproxy' }, proxy: { uids: [1337], gids: [1337] } },
  ],
  ['another user of the sidecar', istioPod({}, { runAsUser: 4242 }), { proxy: { uids: [4242], gids: [1337] } }],
  ['DNS capture', istioPod({}, { env: { ISTIO_META_DNS_CAPTURE: 'true' } }), { dnsPort: 15_053 }],
  ['interfaces', istioPod(traffic({ excludeInterfaces: 'net1, eth0.5' })), { excludedInterfaces: ['net1', 'eth0.5'] }],
  [
    'nothing for Linkerd',
    linkerdPod({}),
    {
      inbound: {
        mode: 'redirect',
        proxyPort: 4143,
        ports: 'all',
        excludedPorts: [
          { from: 4190, to: 4190 },
          { from: 4191, to: 4191 },
          { from: 4567, to: 4568 },
        ],
        excludedSources: [],
      },
      outbound: {
        isOn: true,
        proxyPort: 4140,
        ports: [],
        excludedPorts: [{ from: 4567, to: 4568 }],
        blocks: 'all',
        excludedBlocks: [],
      },
      proxy: { uids: [2102], gids: [] },
    },
  ],
  [
    'skipped ports and subnets',
    linkerdPod({ 'skip-inbound-ports': '8000-8010', 'skip-subnets': '10.0.0.0/8', 'skip-outbound-ports': '25' }),
    {
      inbound: {
        excludedPorts: [
          { from: 4190, to: 4190 },
          { from: 4191, to: 4191 },
          { from: 8000, to: 8010 },
        ],
        excludedSources: [{ address: '10.0.0.0', prefixLength: 8 }],
      },
      outbound: { excludedPorts: [{ from: 25, to: 25 }] },
    },
  ],
  [
    'ports and users of a proxy',
    linkerdPod({
      'inbound-port': '5143',
      'outbound-port': '5140',
      'control-port': '5190',
      'admin-port': '5191',
      'proxy-uid': '7',
      'proxy-gid': '8',
      'skip-inbound-ports': '',
    }),
    {
      inbound: {
        proxyPort: 5143,
        excludedPorts: [
          { from: 5190, to: 5190 },
          { from: 5191, to: 5191 },
        ],
      },
      outbound: { proxyPort: 5140 },
      proxy: { uids: [7], gids: [8] },
    },
  ],
  [
    'a generic proxy of one direction',
    genericPod({ 'outbound-port': '9002', 'proxy-gid': '5,6', 'dns-port': '53' }),
    {
      inbound: { mode: 'off' },
      outbound: { isOn: true, proxyPort: 9002 },
      proxy: { uids: [], gids: [5, 6] },
      dnsPort: 53,
    },
  ],
  [
    'a generic proxy of two ports alone',
    genericPod({ 'outbound-port': '9002', 'proxy-uid': '5', 'include-outbound-ports': '80,443' }),
    {
      outbound: {
        ports: [
          { from: 80, to: 80 },
          { from: 443, to: 443 },
        ],
        blocks: [],
      },
    },
  ],
  [
    'a generic proxy by TPROXY',
    genericPod({ 'inbound-port': '9001', 'interception-mode': 'TPROXY', 'exclude-inbound-sources': '10.0.0.0/8' }),
    {
      inbound: { mode: 'tproxy', excludedSources: [{ address: '10.0.0.0', prefixLength: 8 }] },
      outbound: { isOn: false },
    },
  ],
])('what is read of %s', (_, pod, expected) => {
  expect(decideRedirection(pod, { chainedTypes: [], excludedNamespaces: [] })).toMatchObject({
    ok: true,
    value: { kind: 'redirect', redirection: expected },
  })
})
