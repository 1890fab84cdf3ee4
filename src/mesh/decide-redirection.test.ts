import { describe, expect, test } from 'vitest'
import type { MeshPod } from '../kube/mesh-pod.ts'
import { decideRedirection, formatAnnotationProblem, type MeshSurroundings } from './decide-redirection.ts'
import { container, genericPod, istioPod, linkerdPod, meshPod, traffic } from './redirections.fixture.ts'

const nothingElse: MeshSurroundings = {
  chainedTypes: ['vcn-cni', 'vcn-mesh', 'portmap'],
  excludedNamespaces: ['kube-system'],
}
const init = (name: string): MeshPod['containers'][number] => container(name, { isInit: true })

function outcome(pod: MeshPod, surroundings: Partial<MeshSurroundings> = {}): string {
  const decision = decideRedirection(pod, { ...nothingElse, ...surroundings })
  if (!decision.ok) return `refused: ${decision.error.map(({ annotation }) => annotation).join()}`
  return decision.value.kind === 'none' ? decision.value.because : decision.value.redirection.profile
}

type Row = readonly [string, string, MeshPod, Partial<MeshSurroundings>?]

describe('whose rules', () => {
  const istio = istioPod()
  const withContainer = (pod: MeshPod, name: string): MeshPod => ({
    ...pod,
    containers: [init(name), ...pod.containers],
  })
  const rows: readonly Row[] = [
    ['a pod without sidecar', 'it has no sidecar', meshPod({})],
    ['a pod that Istio injected', 'istio', istio],
    ['one with a container of the name alone', 'it has no sidecar', meshPod({}, [container('istio-proxy')])],
    ['one whose injection is off', 'it has no sidecar', istioPod({ 'sidecar.istio.io/inject': 'false' })],
    ['a pod that Linkerd injected', 'linkerd', linkerdPod()],
    ['a sidecar that ends before the application', 'it has no sidecar', meshPod({}, [init('linkerd-proxy')])],
    ["one on the node's network", "it uses the node's network", { ...istio, hostNetwork: true }],
    ['one of an excluded namespace', 'namespace shop is excluded', istio, { excludedNamespaces: ['shop'] }],
    ['one with istio-init', 'its init container istio-init does it', withContainer(istio, 'istio-init')],
    ['one with linkerd-init', 'its init container linkerd-init does it', withContainer(linkerdPod(), 'linkerd-init')],
    ['one with the validator of Istio', 'istio', withContainer(istio, 'istio-validation')],
    ['one with the validator of Linkerd', 'linkerd', withContainer(linkerdPod(), 'linkerd-network-validator')],
    [
      'Istio with its plugin',
      "istio-cni is in the node's configuration and does it",
      istio,
      { chainedTypes: ['istio-cni'] },
    ],
    ['Istio with the plugin of Linkerd', 'istio', istio, { chainedTypes: ['linkerd-cni'] }],
    [
      'Linkerd with its plugin',
      "linkerd-cni is in the node's configuration and does it",
      linkerdPod(),
      { chainedTypes: ['linkerd-cni'] },
    ],
    ['one that says linkerd with a sidecar of Istio', 'linkerd', istioPod({ 'mesh.vcn-cni.io/profile': 'linkerd' })],
    ['one that says none', 'mesh.vcn-cni.io/profile is none', istioPod({ 'mesh.vcn-cni.io/profile': 'none' })],
    ['one that says istio without a sidecar', 'istio', meshPod({ 'mesh.vcn-cni.io/profile': 'istio' })],
    ['a generic one', 'generic', genericPod({ 'inbound-port': '9001' })],
    [
      'a generic one with the plugin of Istio',
      'generic',
      genericPod({ 'inbound-port': '9001' }),
      { chainedTypes: ['istio-cni'] },
    ],
    [
      'one that says a profile there is not',
      'refused: mesh.vcn-cni.io/profile',
      istioPod({ 'mesh.vcn-cni.io/profile': 'consul' }),
    ],
    [
      'one that Istio is to leave alone',
      'sidecar.istio.io/interceptionMode is NONE',
      istioPod({ 'sidecar.istio.io/interceptionMode': 'NONE' }),
    ],
    [
      "one with other meshes' faults",
      'linkerd',
      meshPod(traffic({ excludeInboundPorts: 'x' }), [container('linkerd-proxy')]),
    ],
  ]
  const cases = rows.map(([name, expected, pod, surroundings = {}]) => [name, expected, pod, surroundings] as const)
  test.each(cases)('%s: %s', (_, expected, pod, surroundings) => {
    expect(outcome(pod, surroundings)).toBe(expected)
  })
})

describe('what is refused names the pod, the annotation, its value and what would be valid', () => {
  const thousand = Array.from({ length: 1000 }, (_, index) => 2000 + 2 * index)
  const messagesOf = (pod: MeshPod): readonly string[] => {
    const decision = decideRedirection(pod, nothingElse)
    return decision.ok ? [] : decision.error.map((problem) => formatAnnotationProblem(pod, problem))
  }
  test.each<readonly [string, MeshPod]>([
    [
      'traffic.sidecar.istio.io/excludeInboundPorts: "80,http": "http" is no port from 1 to 65535, nor a range such as 8000-8010; valid is a list such as 80,8000-8010',
      istioPod(traffic({ excludeInboundPorts: '80,http' })),
    ],
    [
      'traffic.sidecar.istio.io/excludeInboundPorts: "80,": "" is no port from 1 to 65535, nor a range such as 8000-8010; valid is a list such as 80,8000-8010',
      istioPod(traffic({ excludeInboundPorts: '80,' })),
    ],
    [
      'traffic.sidecar.istio.io/excludeOutboundPorts: "*": "*" is no port from 1 to 65535, nor a range such as 8000-8010; valid is a list such as 80,8000-8010',
      istioPod(traffic({ excludeOutboundPorts: '*' })),
    ],
    [
      'traffic.sidecar.istio.io/includeOutboundIPRanges: "10.0.0.0/33": "10.0.0.0/33" is no block of addresses; valid is a list such as 10.0.0.0/8,fd00::/8',
      istioPod(traffic({ includeOutboundIPRanges: '10.0.0.0/33' })),
    ],
    [
      'traffic.sidecar.istio.io/excludeInterfaces: "a b": "a b" is not the name of an interface; valid is a list such as eth1,net1',
      istioPod(traffic({ excludeInterfaces: 'a b' })),
    ],
    [
      'sidecar.istio.io/interceptionMode: "tproxy": "tproxy" is none of REDIRECT, TPROXY, NONE',
      istioPod({ 'sidecar.istio.io/interceptionMode': 'tproxy' }),
    ],
    [
      'config.linkerd.io/proxy-uid: "root": "root" is not a number from 0 to 4294967294',
      linkerdPod({ 'proxy-uid': 'root' }),
    ],
    [
      'mesh.vcn-cni.io/profile: "consul": "consul" is none of istio, linkerd, generic, none',
      meshPod({ 'mesh.vcn-cni.io/profile': 'consul' }),
    ],
    [
      `config.linkerd.io/proxy-uid: "${'9'.repeat(80)}…": "${'9'.repeat(80)}…" is not a number from 0 to 4294967294`,
      linkerdPod({ 'proxy-uid': '9'.repeat(99) }),
    ],
    [
      'mesh.vcn-cni.io/inbound-port: "": is missing: profile generic needs it, or outbound-port, or dns-port',
      genericPod({}),
    ],
    [
      'mesh.vcn-cni.io/proxy-uid: "": is missing: without it (or proxy-gid) the proxy would be sent to itself',
      genericPod({ 'outbound-port': '9002' }),
    ],
    [
      'mesh.vcn-cni.io/proxy-uid: "": is missing: without it (or proxy-gid) the proxy would be sent to itself',
      genericPod({ 'outbound-port': '9002', 'proxy-uid': '' }),
    ],
    [
      'mesh.vcn-cni.io/proxy-uid: "x": "x" is not a number from 0 to 4294967294; valid is a list such as 1337,1338',
      genericPod({ 'outbound-port': '9002', 'proxy-uid': 'x' }),
    ],
    [
      'mesh.vcn-cni.io/inbound-port: "9000-9001": "9000-9001" is not a port from 1 to 65535',
      genericPod({ 'inbound-port': '9000-9001' }),
    ],
    [
      `traffic.sidecar.istio.io/excludeInboundPorts: "${thousand.join().slice(0, 80)}…": "70000" is no port from 1 to 65535, nor a range such as 8000-8010; valid is a list such as 80,8000-8010`,
      istioPod(traffic({ excludeInboundPorts: [...thousand, '70000'].join() })),
    ],
  ])('%s', (message, pod) => {
    expect(messagesOf(pod)).toEqual([`pod shop/web: annotation ${message}`])
  })

  test('all faults are told at once', () => {
    expect(messagesOf(istioPod(traffic({ excludeInboundPorts: 'x', excludeOutboundIPRanges: 'y' })))).toEqual([
      'pod shop/web: annotation traffic.sidecar.istio.io/excludeInboundPorts: "x": "x" is no port from 1 to 65535, nor a range such as 8000-8010; valid is a list such as 80,8000-8010',
      'pod shop/web: annotation traffic.sidecar.istio.io/excludeOutboundIPRanges: "y": "y" is no block of addresses; valid is a list such as 10.0.0.0/8,fd00::/8',
    ])
  })
})

test('a list of a thousand ports is fine', () => {
  const ports = Array.from({ length: 1000 }, (_, index) => 2000 + 2 * index).join()
  expect(outcome(istioPod(traffic({ excludeInboundPorts: ports })))).toBe('istio')
})
