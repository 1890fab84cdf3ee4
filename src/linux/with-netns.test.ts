import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { decodeLink, dumpLinks } from './netlink/link.ts'
import { NetlinkSocket } from './netlink/socket.ts'
import { netnsIdentity, withNetns } from './netns.ts'
import { identityOf, openDescriptors, ownIdentity, TestNetns } from './test-netns.fixture.ts'

describe('withNetns', () => {
  test('works inside and returns to the own namespace', () => {
    using netns = new TestNetns()
    const before = ownIdentity()
    expect(withNetns(netns.fd, ownIdentity)).toBe(netnsIdentity(netns.fd))
    expect(ownIdentity()).toBe(before)
  })

  test('returns when the work throws, and throws the same', () => {
    using netns = new TestNetns()
    const before = ownIdentity()
    const failing = (): never => {
      throw new Error(`failed in ${ownIdentity()}`)
    }
    expect(() => withNetns(netns.fd, failing)).toThrow(`failed in ${netnsIdentity(netns.fd)}`)
    expect(ownIdentity()).toBe(before)
  })

  test('nests', () => {
    using outer = new TestNetns()
    using inner = new TestNetns()
    const before = ownIdentity()
    const seen = withNetns(outer.fd, () => [ownIdentity(), withNetns(inner.fd, ownIdentity), ownIdentity()])
    expect(seen).toEqual([netnsIdentity(outer.fd), netnsIdentity(inner.fd), netnsIdentity(outer.fd)])
    expect(ownIdentity()).toBe(before)
  })

  test('a socket opened inside stays there when it is used outside', () => {
    using netns = new TestNetns()
    netns.ip('link add inside0 type bridge')
    using socket = withNetns(netns.fd, () => new NetlinkSocket())
    expect(socket.dump(dumpLinks(false), decodeLink).map(({ name }) => name)).toEqual(['lo', 'inside0'])
  })

  test('leaves no descriptor open, whatever happens inside', () => {
    using netns = new TestNetns()
    const descriptors = openDescriptors()
    withNetns(netns.fd, () => undefined)
    expect(() =>
      withNetns(netns.fd, () => {
        throw new Error('the work failed')
      }),
    ).toThrow('the work failed')
    expect(openDescriptors()).toBe(descriptors)
  })

  test('a descriptor that is no namespace throws, in the own namespace', () => {
    using netns = new TestNetns()
    const before = ownIdentity()
    netns.fd[Symbol.dispose]()
    expect(() => withNetns(netns.fd, () => 'never')).toThrow('this descriptor is closed')
    expect(ownIdentity()).toBe(before)
  })

  test('other threads of the process stay where they are', () => {
    using netns = new TestNetns()
    const mainThread = withNetns(netns.fd, () => readFileSync('/proc/thread-self/status', 'utf8'))
    const others = readdirSync('/proc/self/task').filter((task) => !mainThread.includes(`\nPid:\t${task}\n`))
    const identities = withNetns(netns.fd, () => others.map((task) => identityOf(`/proc/self/task/${task}/ns/net`)))
    expect(new Set(identities)).toEqual(new Set([ownIdentity()]))
  })
})

// The compiler checks this function; nothing calls it.
export function promisesAreRefused(netns: TestNetns): void {
  // @ts-expect-error a promise would be continued in the wrong namespace
  void withNetns(netns.fd, async () => {
    await Promise.resolve()
  })
  // @ts-expect-error also when it comes from elsewhere
  void withNetns(netns.fd, () => once(process, 'exit'))
  // @ts-expect-error also when it is only possible
  void withNetns(netns.fd, (): number | Promise<number> => 1)
  const value: number = withNetns(netns.fd, () => 1)
  expect(value).toBe(1)
}
