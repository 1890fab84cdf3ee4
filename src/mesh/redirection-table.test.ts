import { describe, expect, test } from 'vitest'
import type { MeshPod } from '../kube/mesh-pod.ts'
import { expectKernelToTake, textOfTable } from '../nftables/golden-table.fixture.ts'
import { redirectionTable } from './redirection-table.ts'
import {
  genericPod,
  istioDns,
  istioPod,
  istioTproxy,
  linkerdPod,
  redirectionOf,
  traffic,
} from './redirections.fixture.ts'

const shapes: readonly (readonly [string, MeshPod])[] = [
  ['istio', istioPod()],
  ['istio-dns', istioPod({}, istioDns)],
  ['istio-tproxy', istioPod(istioTproxy, { runAsUser: 0 })],
  [
    'istio-lists',
    istioPod(
      traffic({
        excludeInboundPorts: '9090,8000-8010',
        excludeOutboundPorts: '3306,53',
        includeOutboundPorts: '8443',
        includeOutboundIPRanges: '10.0.0.0/8,10.1.0.0/16,fd00::/8',
        excludeOutboundIPRanges: '10.9.0.0/16,192.0.2.1/32,0.0.0.0/32',
        excludeInterfaces: 'net1,net2',
      }),
      istioDns,
    ),
  ],
  ['istio-included-ports', istioPod(traffic({ includeInboundPorts: '80,443', includeOutboundIPRanges: '' }))],
  ['istio-tproxy-included-ports', istioPod({ ...istioTproxy, ...traffic({ includeInboundPorts: '80' }) })],
  ['linkerd', linkerdPod()],
  [
    'linkerd-skips',
    linkerdPod({
      'skip-inbound-ports': '9090,8000-8010',
      'skip-outbound-ports': '25,587',
      'skip-subnets': '10.0.0.0/8,fd00::/8',
      'proxy-uid': '4242',
    }),
  ],
  ['generic', genericPod({ 'inbound-port': '9001', 'outbound-port': '9002', 'proxy-uid': '101,102' })],
  [
    'generic-tproxy',
    genericPod({
      'inbound-port': '9001',
      'interception-mode': 'TPROXY',
      'exclude-interfaces': 'net1,net1',
      'proxy-uid': '7,7',
    }),
  ],
  ['generic-inbound', genericPod({ 'inbound-port': '9001' })],
  ['generic-dns', genericPod({ 'dns-port': '9053', 'proxy-gid': '101' })],
]

describe.each(shapes)('%s', (name, pod) => {
  const table = redirectionTable(redirectionOf(pod))

  test('is written as in testdata', async () => {
    await expect(textOfTable(table)).toMatchFileSnapshot(`./testdata/${name}.nft`)
  })

  test('is what the kernel has then', () => expectKernelToTake(table))
})

const even = Array.from({ length: 1000 }, (_, index) => 2000 + 2 * index)
const bigBlocks = Array.from({ length: 4000 }, (_, index) => `10.${index >> 8}.${index & 255}.0/25`)

test('a thousand ports and thousands of blocks are elements, not rules', async () => {
  const lists = { excludeInboundPorts: even.join(), excludeOutboundPorts: even.join() }
  const few = redirectionTable(
    redirectionOf(istioPod(traffic({ excludeOutboundPorts: '1', excludeOutboundIPRanges: '10.0.0.0/8' }))),
  )
  const table = redirectionTable(
    redirectionOf(
      istioPod(traffic({ ...lists, excludeOutboundIPRanges: [...bigBlocks, '::/0', '0.0.0.0/32'].join() })),
    ),
  )
  const sizes = [...table.sets].map(([name, { elements }]) => [name, elements.size])
  expect(Object.fromEntries(sizes)).toEqual({
    'excluded-inbound-ports': 1000 + 3,
    'excluded-outbound-ports': 1000,
    'excluded-destinations4': 4001,
    'excluded-destinations6': 1,
  })
  expect(table.chains.get('inbound')).toEqual(few.chains.get('inbound'))
  await expectKernelToTake(table)
})

test('all addresses as one block are taken', () =>
  expectKernelToTake(redirectionTable(redirectionOf(istioPod(traffic({ excludeOutboundIPRanges: '0.0.0.0/0,::/0' }))))))
