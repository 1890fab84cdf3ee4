import { readdirSync, readlinkSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { hostCidr } from '../../base/cidr.ts'
import { type Ipv4, ipv4FromNumber, parseIpv4 } from '../../base/ip.ts'
import { unwrap } from '../../base/result.ts'
import { withNetns } from '../netns.ts'
import { TestNetns } from '../test-netns.fixture.ts'
import { addAddress, decodeAddress, dumpAddresses } from './address.ts'
import { decodeLink, deleteLink, dumpLinks, getLink } from './link.ts'
import { addRoute, decodeRoute, dumpRoutes, type Route } from './route.ts'
import { addRule, decodeRule, deleteRule, dumpRules, type Rule } from './rule.ts'
import { NetlinkSocket } from './socket.ts'
import type { NetlinkRequest } from './wire.ts'

const loopback = 1
const ip = (text: string): Ipv4 => unwrap(parseIpv4(text))
const toLoopback = (text: string): NetlinkRequest =>
  addAddress({ ifindex: loopback, cidr: hostCidr(ip(text)), scope: 'host' })
const route = (address: Ipv4): Route => ({
  table: 20_000,
  destination: hostCidr(address),
  ifindex: loopback,
  scope: 'link',
  protocol: 118,
})
const unreachableRouter: Route = { ...route(ip('10.0.9.9')), table: 254, scope: 'global', gateway: ip('10.9.9.9') }

const addressesOf = (netns: TestNetns): readonly unknown[] =>
  netns
    .ipJson('-4 address show lo')
    .flatMap(({ addr_info: list }) => (list as { local: string }[]).map(({ local }) => local))

/** `index code` of every refusal. */
function outcome(netns: TestNetns, requests: readonly NetlinkRequest[]): readonly string[] {
  const done = netns.socket.request(requests)
  return done.ok ? [] : done.error.map(({ requestIndex, code }) => `${requestIndex} ${code}`)
}

function links(netns: TestNetns, count: number): readonly number[] {
  netns.ipBatch(Array.from({ length: count }, (_, nth) => `link add d${nth} index ${800 + nth} type bridge`))
  return Array.from({ length: count }, (_, nth) => 800 + nth)
}

const descriptors = (): number => readdirSync('/proc/self/fd').filter((fd) => linkOf(fd).startsWith('socket:')).length

function linkOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`)
  } catch {
    return ''
  }
}

describe('a batch', () => {
  test('is not atomic: what was not refused stands, and refusals carry their index and the kernel’s words', () => {
    using netns = new TestNetns()
    const done = netns.socket.request([
      toLoopback('10.0.0.1'),
      toLoopback('10.0.0.1'),
      addRoute(unreachableRouter),
      toLoopback('10.0.0.2'),
    ])
    expect(done).toMatchObject({
      ok: false,
      error: [
        { requestIndex: 1, code: 'EEXIST', message: expect.stringContaining('Address already assigned') as unknown },
        {
          requestIndex: 2,
          code: 'ENETUNREACH',
          message: 'the kernel refused: network is unreachable (ENETUNREACH): Nexthop has invalid gateway',
        },
      ],
    })
    expect(addressesOf(netns)).toEqual(expect.arrayContaining(['10.0.0.1', '10.0.0.2']))
  })

  test.each([
    ['nothing', [], []],
    ['one that is carried out', ['10.0.0.2'], []],
    ['one that is refused', ['10.0.0.1'], ['0 EEXIST']],
    ['the first refused', ['10.0.0.1', '10.0.0.2'], ['0 EEXIST']],
    ['the last refused', ['10.0.0.2', '10.0.0.1'], ['1 EEXIST']],
    ['all refused', ['10.0.0.1', '10.0.0.1', '10.0.0.1'], ['0 EEXIST', '1 EEXIST', '2 EEXIST']],
  ])('of %s', (_what, addresses, refusals) => {
    using netns = new TestNetns()
    netns.ip('address add 10.0.0.1/32 dev lo')
    expect(outcome(netns, addresses.map(toLoopback))).toEqual(refusals)
    // Nothing is left over that the next answer could be mistaken for.
    expect(outcome(netns, [toLoopback('10.0.0.3')])).toEqual([])
  })

  test('may be larger than what the kernel takes in one piece', () => {
    using netns = new TestNetns()
    const routes = Array.from({ length: 6000 }, (_, index) => route(ipv4FromNumber(0x0a00_0000 + index)))
    expect(outcome(netns, routes.map(addRoute))).toEqual([])
    expect(netns.socket.dump(dumpRoutes(4, { table: 20_000 }), decodeRoute)).toEqual(routes)
    // All of them are refused now: more answers than the receive buffer holds.
    expect(outcome(netns, routes.map(addRoute))).toEqual(routes.map((_, index) => `${index} EEXIST`))
  })
})

describe('one object', () => {
  test('is there, or is refused in words', () => {
    using netns = new TestNetns()
    expect(netns.socket.get(getLink({ name: 'lo' }), decodeLink)).toMatchObject({ ok: true, value: { ifindex: 1 } })
    expect(netns.socket.get(getLink({ ifindex: 77 }), decodeLink)).toMatchObject({
      ok: false,
      error: { code: 'ENODEV', requestIndex: 0 },
    })
    expect(netns.socket.get(getLink({ name: 'x'.repeat(16) }), decodeLink)).toMatchObject({
      ok: false,
      error: { code: 'ERANGE', message: expect.stringContaining('Attribute failed policy validation') as unknown },
    })
  })
})

describe('rules', () => {
  const rule: Rule = { family: 4, priority: 512, table: 100, protocol: 118 }
  test('are deleted by what they are, the same priority being no matter', () => {
    using netns = new TestNetns()
    const from = { address: ip('10.0.4.0'), prefixLength: 24 }
    const rules = [rule, { ...rule, from }, { ...rule, table: 30_005, from }]
    expect(outcome(netns, rules.map(addRule))).toEqual([])
    expect(outcome(netns, [deleteRule({ ...rule, from })])).toEqual([])
    expect(netns.socket.dump(dumpRules(4), decodeRule).filter(({ protocol }) => protocol === 118)).toEqual([
      rule,
      { ...rule, table: 30_005, from },
    ])
    expect(outcome(netns, [deleteRule({ ...rule, from }), addRule(rule)])).toEqual(['0 ENOENT', '1 EEXIST'])
  })
})

describe('a request that blocks', () => {
  test('is answered although the socket is used meanwhile', async () => {
    using netns = new TestNetns()
    const removals = links(netns, 12).map((ifindex) => netns.socket.requestBlocking(deleteLink(ifindex)))
    for (let nth = 1; nth <= 50; nth++) {
      expect(outcome(netns, [toLoopback(`10.0.0.${nth}`), toLoopback(`10.0.0.${nth}`)])).toEqual(['1 EEXIST'])
      expect(netns.socket.get(getLink({ ifindex: loopback }), decodeLink).ok).toBe(true)
      expect(netns.socket.dump(dumpAddresses(4, loopback), decodeAddress)).toHaveLength(nth + 1)
      await new Promise(setImmediate)
    }
    expect(await Promise.all(removals)).toEqual(removals.map(() => ({ ok: true, value: undefined })))
    expect(netns.socket.dump(dumpLinks(false), decodeLink).map(({ name }) => name)).toEqual(['lo'])
  })

  test('is refused like any other', async () => {
    using netns = new TestNetns()
    const [first, second] = await Promise.all([
      netns.socket.requestBlocking(deleteLink(77)),
      netns.socket.requestBlocking(toLoopback('127.0.0.1')),
    ])
    expect(first).toMatchObject({ ok: false, error: [{ code: 'ENODEV', requestIndex: 0 }] })
    expect(second).toMatchObject({ ok: true })
  })

  test('ends although the socket is disposed of meanwhile, and the descriptor is closed then', async () => {
    using netns = new TestNetns()
    const [ifindex = 0] = links(netns, 1)
    const before = descriptors()
    const socket = withNetns(netns.fd, () => new NetlinkSocket())
    const removal = socket.requestBlocking(deleteLink(ifindex))
    socket[Symbol.dispose]()
    expect(() => socket.request([toLoopback('10.0.0.1')])).toThrow('this netlink socket is closed')
    expect(descriptors()).toBe(before + 1)
    expect(await removal).toEqual({ ok: true, value: undefined })
    expect(descriptors()).toBe(before)
    expect(addressesOf(netns)).toEqual(['127.0.0.1'])
  })
})

describe('a socket that is disposed of', () => {
  test('has closed its descriptor, once, and takes nothing any more', async () => {
    using netns = new TestNetns()
    const before = descriptors()
    const socket = withNetns(netns.fd, () => new NetlinkSocket())
    expect(descriptors()).toBe(before + 1)
    socket[Symbol.dispose]()
    socket[Symbol.dispose]()
    expect(descriptors()).toBe(before)
    expect(() => socket.get(getLink({ ifindex: 1 }), decodeLink)).toThrow('closed')
    expect(() => socket.dump(dumpLinks(false), decodeLink)).toThrow('closed')
    await expect(socket.requestBlocking(deleteLink(77))).rejects.toThrow('closed')
  })
})

test('an answer that does not fit the buffer is an error, not half an answer', () => {
  using netns = new TestNetns()
  using socket = withNetns(netns.fd, () => new NetlinkSocket(256))
  expect(() => socket.get(getLink({ ifindex: 1 }), decodeLink)).toThrow(/a netlink datagram of \d+ bytes did not fit/)
})
