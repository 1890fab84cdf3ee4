import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { TestNetns } from '../linux/test-netns.fixture.ts'
import { listTable, nft } from '../nftables/nft-listing.fixture.ts'
import { outside, pod, RedirectedPod, root } from './redirected-pod.fixture.ts'
import { istioDns, istioPod, istioTproxy, redirectionOf, traffic } from './redirections.fixture.ts'

const sidecar = { uid: 1337, gid: 1337 }
const listeners = ['tcp:15006:forward', 'tcp:15001:outward']
/** More than the fifteen of iptables' multiport. */
const excluded = Array.from({ length: 40 }, (_, index) => 9000 + 2 * index)

let bench: RedirectedPod
const open = async (): Promise<void> => {
  bench = new RedirectedPod(new TestNetns(), new TestNetns())
  await bench.serve(bench.pod, 'app', { uid: 5000, gid: 5000 }, ['tcp:8080', 'tcp:9000', 'tcp:9078', 'tcp:15021'])
  await bench.serve(bench.outside, 'server', root, ['tcp:80', 'tcp:3306', 'udp:4000:any'])
}
const close = (): void => bench[Symbol.dispose]()

type Row = readonly [sentence: string, ask: () => string, answer: string]

const annotations = traffic({
  excludeInboundPorts: excluded.join(),
  excludeOutboundPorts: `3306,${excluded.join()}`,
  excludeOutboundIPRanges: '192.0.2.0/24',
  excludeInterfaces: 'net1',
})

describe('with the sidecar running', () => {
  beforeAll(async () => {
    await open()
    await bench.serve(bench.pod, 'sidecar', sidecar, listeners)
    bench.load(redirectionOf(istioPod(annotations)))
  })
  afterAll(close)

  const inbound: readonly Row[] = [
    [
      'a client comes to the application by the sidecar',
      () => bench.askFromOutside(pod.ipv4, 8080),
      `sidecar:15006 for ${pod.ipv4} 8080, app:8080 from 127.0.0.6`,
    ],
    [
      'so it does over IPv6',
      () => bench.askFromOutside(pod.ipv6, 8080),
      `sidecar:15006 for ${pod.ipv6} 8080, app:8080 from ::6`,
    ],
    [
      'the first of many excluded ports is open',
      () => bench.askFromOutside(pod.ipv4, 9000),
      `app:9000 from ${outside.ipv4}`,
    ],
    ['the last of them is, over IPv6', () => bench.askFromOutside(pod.ipv6, 9078), `app:9078 from ${outside.ipv6}`],
    [
      'readiness is asked for past the sidecar',
      () => bench.askFromOutside(pod.ipv4, 15_021),
      `app:15021 from ${outside.ipv4}`,
    ],
    ['an excluded interface is open', () => bench.askFromOutside(pod.net1, 8080), `app:8080 from ${outside.net1}`],
    [
      "a client of the sidecar's inbound port passes it once",
      () => bench.askFromOutside(pod.ipv4, 15_006),
      `sidecar:15006 for ${pod.ipv4} 15006, loop`,
    ],
    [
      "a client of the sidecar's outbound port passes it once",
      () => bench.askFromOutside(pod.ipv4, 15_001),
      `sidecar:15006 for ${pod.ipv4} 15001, loop`,
    ],
  ]
  const outbound: readonly Row[] = [
    [
      'the application comes to a server by the sidecar',
      () => bench.ask(outside.ipv4, 80),
      `sidecar:15001 for ${outside.ipv4} 80, server:80 from ${pod.ipv4}`,
    ],
    [
      'so it does over IPv6',
      () => bench.ask(outside.ipv6, 80),
      `sidecar:15001 for ${outside.ipv6} 80, server:80 from ${pod.ipv6}`,
    ],
    [
      'root does as well',
      () => bench.ask(outside.ipv4, 80, { as: root }),
      `sidecar:15001 for ${outside.ipv4} 80, server:80 from ${pod.ipv4}`,
    ],
    [
      "the sidecar's own connections leave as they are",
      () => bench.ask(outside.ipv4, 80, { as: sidecar }),
      `server:80 from ${pod.ipv4}`,
    ],
    [
      'so do those of its user alone',
      () => bench.ask(outside.ipv4, 80, { as: { uid: 1337, gid: 5000 } }),
      `server:80 from ${pod.ipv4}`,
    ],
    [
      'so do those of its group alone',
      () => bench.ask(outside.ipv4, 80, { as: { uid: 5000, gid: 1337 } }),
      `server:80 from ${pod.ipv4}`,
    ],
    [
      'an excluded port is reached past the sidecar',
      () => bench.ask(outside.ipv4, 3306),
      `server:3306 from ${pod.ipv4}`,
    ],
    ['an excluded block is reached past the sidecar', () => bench.ask(outside.far, 80), `server:80 from ${pod.ipv4}`],
    ['an excluded interface is used past the sidecar', () => bench.ask(outside.net1, 80), `server:80 from ${pod.net1}`],
    ['UDP is not touched', () => bench.ask(outside.ipv4, 4000, { protocol: 'udp' }), 'server:4000'],
  ]
  const local: readonly Row[] = [
    ['the application reaches itself at localhost', () => bench.ask('127.0.0.1', 8080), 'app:8080 from 127.0.0.1'],
    ['so it does over IPv6', () => bench.ask('::1', 8080), 'app:8080 from ::1'],
    ["it reaches itself at the pod's address", () => bench.ask(pod.ipv4, 8080), `app:8080 from ${pod.ipv4}`],
    ['so it does over IPv6', () => bench.ask(pod.ipv6, 8080), `app:8080 from ${pod.ipv6}`],
    [
      'the sidecar reaches the application at localhost',
      () => bench.ask('127.0.0.1', 8080, { as: sidecar }),
      'app:8080 from 127.0.0.1',
    ],
    [
      'it reaches it from 127.0.0.6',
      () => bench.ask(pod.ipv4, 8080, { as: sidecar, source: '127.0.0.6' }),
      'app:8080 from 127.0.0.6',
    ],
    [
      "the application in the sidecar's group reaches itself",
      () => bench.ask(pod.ipv4, 8080, { as: { uid: 5000, gid: 1337 } }),
      `app:8080 from ${pod.ipv4}`,
    ],
    [
      "what it sends to its own pod comes in like a client's",
      () => bench.ask(pod.ipv4, 8080, { as: sidecar }),
      `sidecar:15006 for ${pod.ipv4} 8080, app:8080 from 127.0.0.6`,
    ],
    [
      'so it does over IPv6',
      () => bench.ask(pod.ipv6, 8080, { as: sidecar }),
      `sidecar:15006 for ${pod.ipv6} 8080, app:8080 from ::6`,
    ],
    ['tunnels to itself come to their own port', () => bench.ask(pod.ipv4, 15_008, { as: sidecar }), 'refused'],
    [
      "the application at the sidecar's outbound port passes it once",
      () => bench.ask(pod.ipv4, 15_001),
      `sidecar:15001 for ${pod.ipv4} 15001, loop`,
    ],
    [
      "the application at the sidecar's inbound port passes it once",
      () => bench.ask('127.0.0.1', 15_006),
      'sidecar:15006 for 127.0.0.1 15006, loop',
    ],
  ]
  test.each([...inbound, ...outbound, ...local])('%s', (_, ask, answer) => {
    expect(ask()).toBe(answer)
  })
})

describe('a pod of its own', () => {
  beforeEach(open)
  afterEach(close)

  test("Istio's validator fails without the rules and passes with them", async () => {
    await bench.serve(bench.pod, 'sidecar', sidecar, listeners)
    bench.pod.ip('address add ::6/128 dev lo nodad')
    const validate = (): readonly string[] => [
      bench.ask('127.0.0.6', 15_002, { as: sidecar }),
      bench.ask('::6', 15_002, { as: sidecar, source: '::1' }),
    ]
    expect(validate()).toEqual(['refused', 'refused'])
    bench.load(redirectionOf(istioPod()))
    expect(validate()).toEqual([
      'sidecar:15006 for 127.0.0.6 15002, Connection refused',
      'sidecar:15006 for ::6 15002, Connection refused',
    ])
  })

  test('loaded again, the rules are the same', () => {
    const redirection = redirectionOf(istioPod(annotations, istioDns))
    bench.load(redirection)
    const first = listTable(bench.pod, 'inet vcn-mesh')
    bench.load(redirection)
    expect(listTable(bench.pod, 'inet vcn-mesh')).toEqual(first)
    expect(nft(bench.pod, 'list', 'tables').trim()).toBe('table inet vcn-mesh')
  })

  test.each([
    ['REDIRECT', {}, sidecar, listeners],
    ['TPROXY', istioTproxy, { uid: 0, gid: 1337 }, ['tcp:15006:transparent', 'tcp:15001:outward']],
  ])('once a sidecar by %s has stopped, nothing passes where it was', async (_, mode, who, ports) => {
    const stop = await bench.serve(bench.pod, 'sidecar', who, ports)
    bench.load(redirectionOf(istioPod(mode)))
    const askAll = (): readonly string[] => [
      bench.askFromOutside(pod.ipv4, 8080),
      bench.askFromOutside(pod.ipv6, 8080),
      bench.ask(outside.ipv4, 80),
      bench.ask(outside.ipv6, 80),
    ]
    for (const answer of askAll()) expect(answer).toMatch(/^sidecar.*(app:8080|server:80)/)
    await stop()
    expect(askAll()).toEqual(['refused', 'refused', 'refused', 'refused'])
    expect(bench.askFromOutside(pod.ipv4, 15_021)).toBe(`app:15021 from ${outside.ipv4}`)
  })
})

describe('with TPROXY', () => {
  // As Istio runs it then: as root, told by its group.
  const transparent = { uid: 0, gid: 1337 }
  beforeAll(async () => {
    await open()
    await bench.serve(bench.pod, 'sidecar', transparent, ['tcp:15006:transparent', 'tcp:15001:outward'])
    bench.load(redirectionOf(istioPod({ ...istioTproxy, ...annotations }, { runAsUser: 0 })))
  })
  afterAll(close)

  test.each<Row>([
    [
      "the application sees the client's address",
      () => bench.askFromOutside(pod.ipv4, 8080),
      `sidecar:15006 for ${pod.ipv4} 8080, app:8080 from ${outside.ipv4}`,
    ],
    [
      'so it does over IPv6',
      () => bench.askFromOutside(pod.ipv6, 8080),
      `sidecar:15006 for ${pod.ipv6} 8080, app:8080 from ${outside.ipv6}`,
    ],
    ['an excluded port is open', () => bench.askFromOutside(pod.ipv4, 9078), `app:9078 from ${outside.ipv4}`],
    ['an excluded interface is open', () => bench.askFromOutside(pod.net1, 8080), `app:8080 from ${outside.net1}`],
    [
      'the application comes to a server by the sidecar',
      () => bench.ask(outside.ipv4, 80),
      `sidecar:15001 for ${outside.ipv4} 80, server:80 from ${pod.ipv4}`,
    ],
    [
      "the sidecar's own connections leave as they are",
      () => bench.ask(outside.ipv4, 80, { as: transparent }),
      `server:80 from ${pod.ipv4}`,
    ],
    ['the application reaches itself at localhost', () => bench.ask('127.0.0.1', 8080), 'app:8080 from 127.0.0.1'],
    ["it reaches itself at the pod's address", () => bench.ask(pod.ipv6, 8080), `app:8080 from ${pod.ipv6}`],
    [
      "what the sidecar sends to its own pod comes in like a client's",
      () => bench.ask(pod.ipv4, 8080, { as: transparent }),
      `sidecar:15006 for ${pod.ipv4} 8080, app:8080 from ${pod.ipv4}`,
    ],
    [
      'so it does over IPv6',
      () => bench.ask(pod.ipv6, 8080, { as: transparent }),
      `sidecar:15006 for ${pod.ipv6} 8080, app:8080 from ${pod.ipv6}`,
    ],
    [
      'it reaches the application from 127.0.0.6',
      () => bench.ask(pod.ipv4, 8080, { as: transparent, source: '127.0.0.6' }),
      'app:8080 from 127.0.0.6',
    ],
    ['so it does from ::6', () => bench.ask(pod.ipv6, 8080, { as: transparent, source: '::6' }), 'app:8080 from ::6'],
    [
      'a sidecar that is no root does so by NAT',
      () => bench.ask(pod.ipv4, 8080, { as: sidecar }),
      `sidecar:15006 for ${pod.ipv4} 8080, app:8080 from ${pod.ipv4}`,
    ],
  ])('%s', (_, ask, answer) => {
    expect(ask()).toBe(answer)
  })
})
