import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { TestNetns } from '../linux/test-netns.fixture.ts'
import { outside, pod, RedirectedPod, root } from './redirected-pod.fixture.ts'
import { genericPod, linkerdPod, redirectionOf } from './redirections.fixture.ts'

const sidecar = { uid: 2102, gid: 2102 }
const listeners = ['tcp:4143:outward', 'tcp:4140:outward']
const skipped = Array.from({ length: 40 }, (_, index) => 9000 + 2 * index)

let bench: RedirectedPod
const open = async (): Promise<void> => {
  bench = new RedirectedPod(new TestNetns(), new TestNetns())
  await bench.serve(bench.pod, 'app', { uid: 5000, gid: 5000 }, ['tcp:8080', 'tcp:9000', 'tcp:9078', 'tcp:4191'])
  await bench.serve(bench.outside, 'server', root, ['tcp:80', 'tcp:25', 'tcp:4567', 'udp:53:any'])
}
const close = (): void => bench[Symbol.dispose]()

type Row = readonly [sentence: string, ask: () => string, answer: string]
const rows: readonly Row[] = [
  [
    'a client comes to the application by the sidecar',
    () => bench.askFromOutside(pod.ipv4, 8080),
    `sidecar:4143 for ${pod.ipv4} 8080, app:8080 from ${pod.ipv4}`,
  ],
  [
    'so it does over IPv6',
    () => bench.askFromOutside(pod.ipv6, 8080),
    `sidecar:4143 for ${pod.ipv6} 8080, app:8080 from ${pod.ipv6}`,
  ],
  [
    'the first of many skipped ports is open',
    () => bench.askFromOutside(pod.ipv4, 9000),
    `app:9000 from ${outside.ipv4}`,
  ],
  ['the last of them is, over IPv6', () => bench.askFromOutside(pod.ipv6, 9078), `app:9078 from ${outside.ipv6}`],
  [
    'a client of a skipped subnet comes past the sidecar',
    () => bench.askFromOutside(pod.net1, 8080),
    `app:8080 from ${outside.net1}`,
  ],
  [
    "the sidecar's metrics are asked for directly",
    () => bench.askFromOutside(pod.ipv4, 4191),
    `app:4191 from ${outside.ipv4}`,
  ],
  [
    "a client of the sidecar's inbound port passes it once",
    () => bench.askFromOutside(pod.ipv4, 4143),
    `sidecar:4143 for ${pod.ipv4} 4143, loop`,
  ],
  [
    "a client of the sidecar's outbound port passes it once",
    () => bench.askFromOutside(pod.ipv4, 4140),
    `sidecar:4143 for ${pod.ipv4} 4140, loop`,
  ],
  [
    'the application comes to a server by the sidecar',
    () => bench.ask(outside.ipv4, 80),
    `sidecar:4140 for ${outside.ipv4} 80, server:80 from ${pod.ipv4}`,
  ],
  [
    'so it does over IPv6',
    () => bench.ask(outside.ipv6, 80),
    `sidecar:4140 for ${outside.ipv6} 80, server:80 from ${pod.ipv6}`,
  ],
  ['a skipped port is reached past the sidecar', () => bench.ask(outside.ipv4, 25), `server:25 from ${pod.ipv4}`],
  [
    "the sidecar's own connections leave as they are",
    () => bench.ask(outside.ipv4, 80, { as: sidecar }),
    `server:80 from ${pod.ipv4}`,
  ],
  ['DNS is not touched', () => bench.ask(outside.ipv4, 53, { protocol: 'udp' }), 'server:53'],
  ['the application reaches itself at localhost', () => bench.ask('127.0.0.1', 8080), 'app:8080 from 127.0.0.1'],
  ["it reaches itself at the pod's address", () => bench.ask(pod.ipv4, 8080), `app:8080 from ${pod.ipv4}`],
  ['so it does over IPv6', () => bench.ask(pod.ipv6, 8080), `app:8080 from ${pod.ipv6}`],
  [
    'the sidecar reaches the application',
    () => bench.ask(pod.ipv4, 8080, { as: sidecar }),
    `app:8080 from ${pod.ipv4}`,
  ],
  [
    "the application at the sidecar's outbound port passes it once",
    () => bench.ask('127.0.0.1', 4140),
    'sidecar:4140 for 127.0.0.1 4140, loop',
  ],
]
describe('with the sidecar running', () => {
  beforeAll(async () => {
    await open()
    await bench.serve(bench.pod, 'sidecar', sidecar, listeners)
    const skips = {
      'skip-inbound-ports': skipped.join(),
      'skip-outbound-ports': '20-30',
      'skip-subnets': '10.78.0.0/24',
    }
    bench.load(redirectionOf(linkerdPod(skips)))
  })
  afterAll(close)

  test.each(rows)('%s', (_, ask, answer) => {
    expect(ask()).toBe(answer)
  })
})

describe('a pod of its own', () => {
  beforeEach(open)
  afterEach(close)

  test("Linkerd's validator fails without the rules and passes with them", async () => {
    await bench.serve(bench.pod, 'sidecar', sidecar, listeners)
    const validate = (): string => bench.ask(outside.far, 1404)
    expect(validate()).toBe('refused')
    bench.load(redirectionOf(linkerdPod()))
    expect(validate()).toBe('sidecar:4140 for 192.0.2.2 1404, Connection refused')
  })

  test('once the sidecar has stopped, nothing passes where it was', async () => {
    const stop = await bench.serve(bench.pod, 'sidecar', sidecar, listeners)
    bench.load(redirectionOf(linkerdPod()))
    await stop()
    const answers = [bench.askFromOutside(pod.ipv4, 8080), bench.ask(outside.ipv4, 80), bench.ask(outside.ipv6, 80)]
    expect(answers).toEqual(['refused', 'refused', 'refused'])
    expect(bench.ask(outside.ipv4, 4567)).toBe(`server:4567 from ${pod.ipv4}`)
  })

  test('a sidecar of another make is used in both directions, and reaches the application itself', async () => {
    const proxy = { uid: 101, gid: 101 }
    await bench.serve(bench.pod, 'proxy', proxy, ['tcp:9901:outward', 'tcp:9902:outward'])
    const included = { 'include-inbound-ports': '8080', 'include-outbound-cidrs': '10.77.0.0/16' }
    const ports = { 'inbound-port': '9901', 'outbound-port': '9902', 'proxy-uid': '101' }
    bench.load(redirectionOf(genericPod({ ...ports, ...included })))
    expect([
      bench.askFromOutside(pod.ipv4, 8080),
      bench.askFromOutside(pod.ipv4, 9000),
      bench.ask(outside.ipv4, 80),
      bench.ask(outside.net1, 80),
      bench.ask(pod.ipv4, 8080, { as: proxy }),
    ]).toEqual([
      `proxy:9901 for ${pod.ipv4} 8080, app:8080 from ${pod.ipv4}`,
      `app:9000 from ${outside.ipv4}`,
      `proxy:9902 for ${outside.ipv4} 80, server:80 from ${pod.ipv4}`,
      `server:80 from ${pod.net1}`,
      `app:8080 from ${pod.ipv4}`,
    ])
  })

  test('one that keeps the address of the client sends to the application and to itself as it likes', async () => {
    const proxy = { uid: 0, gid: 101 }
    await bench.serve(bench.pod, 'proxy', proxy, ['tcp:9901:transparent'])
    const ports = { 'inbound-port': '9901', 'proxy-gid': '101', 'interception-mode': 'TPROXY' }
    bench.load(redirectionOf(genericPod(ports)))
    expect([
      bench.askFromOutside(pod.ipv4, 8080),
      bench.askFromOutside(pod.ipv6, 8080),
      bench.ask(pod.ipv4, 8080, { as: proxy }),
      bench.ask(outside.ipv4, 80),
    ]).toEqual([
      `proxy:9901 for ${pod.ipv4} 8080, app:8080 from ${outside.ipv4}`,
      `proxy:9901 for ${pod.ipv6} 8080, app:8080 from ${outside.ipv6}`,
      `app:8080 from ${pod.ipv4}`,
      `server:80 from ${pod.ipv4}`,
    ])
  })
})
