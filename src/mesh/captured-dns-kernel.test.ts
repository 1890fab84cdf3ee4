import { afterEach, beforeEach, expect, test } from 'vitest'
import { TestNetns } from '../linux/test-netns.fixture.ts'
import { nft } from '../nftables/nft-listing.fixture.ts'
import { outside, pod, type Question, RedirectedPod, root } from './redirected-pod.fixture.ts'
import { istioDns, istioPod, redirectionOf, traffic } from './redirections.fixture.ts'

const sidecar = { uid: 1337, gid: 1337 }

let bench: RedirectedPod
beforeEach(async () => {
  bench = new RedirectedPod(new TestNetns(), new TestNetns())
  await bench.serve(bench.pod, 'sidecar', sidecar, ['udp:15053', 'tcp:15053', 'tcp:15001:outward'])
  await bench.serve(bench.outside, 'resolver', root, ['udp:53:any', 'tcp:53', 'udp:5353:any'])
  bench.load(redirectionOf(istioPod(traffic({ excludeInterfaces: 'net1' }), istioDns)))
})
afterEach(() => bench[Symbol.dispose]())

const udp = { protocol: 'udp' } as const

test.each<readonly [sentence: string, ask: () => string, answer: string]>([
  ['the application asks the sidecar by UDP', () => bench.ask(outside.ipv4, 53, udp), 'sidecar:15053'],
  ['so it does over IPv6', () => bench.ask(outside.ipv6, 53, udp), 'sidecar:15053'],
  ['it does by TCP', () => bench.ask(outside.ipv4, 53), `sidecar:15053 from ${pod.ipv4}`],
  ['it does by TCP over IPv6', () => bench.ask(outside.ipv6, 53), `sidecar:15053 from ${pod.ipv6}`],
  ['a resolver at localhost is the sidecar too', () => bench.ask('127.0.0.1', 53, udp), 'sidecar:15053'],
  ['it is by TCP', () => bench.ask('127.0.0.53', 53), 'sidecar:15053 from 127.0.0.1'],
  ['the sidecar asks the resolver', () => bench.ask(outside.ipv4, 53, { ...udp, as: sidecar }), 'resolver:53'],
  ['it does over IPv6', () => bench.ask(outside.ipv6, 53, { ...udp, as: sidecar }), 'resolver:53'],
  ['it does by TCP', () => bench.ask(outside.ipv4, 53, { as: sidecar }), `resolver:53 from ${pod.ipv4}`],
  ['other ports of UDP are not touched', () => bench.ask(outside.ipv4, 5353, udp), 'resolver:5353'],
  ['an excluded interface is used past the sidecar', () => bench.ask(outside.net1, 53, udp), 'resolver:53'],
])('%s', (_, ask, answer) => {
  expect(ask()).toBe(answer)
})

const fromOnePort = (as?: Question['as']): string =>
  bench.ask(outside.ipv4, 53, { ...udp, source: pod.ipv4, sourcePort: 40_000, ...(as && { as }) })

test.each([
  ['user', { uid: 1337, gid: 5000 }],
  ['group', { uid: 5000, gid: 1337 }],
])("a port that the application has asked from serves the sidecar's %s, and the other way round", (_, who) => {
  expect([fromOnePort(), fromOnePort(who), fromOnePort()]).toEqual(['sidecar:15053', 'resolver:53', 'sidecar:15053'])
})

test('without zones the sidecar would ask itself', () => {
  nft(bench.pod, 'flush chain inet vcn-mesh dns-questions; flush chain inet vcn-mesh dns-answers')
  expect([fromOnePort(), fromOnePort(sidecar)]).toEqual(['sidecar:15053', 'sidecar:15053'])
})

test('an excluded port 53 is asked past the sidecar', () => {
  bench.load(redirectionOf(istioPod(traffic({ excludeOutboundPorts: '53' }), istioDns)))
  expect(bench.ask(outside.ipv4, 53, udp)).toBe('resolver:53')
  expect(bench.ask(outside.ipv4, 53)).toBe(`resolver:53 from ${pod.ipv4}`)
})
