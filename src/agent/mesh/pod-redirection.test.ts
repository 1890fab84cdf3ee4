import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, it, test } from 'vitest'
import { unwrap } from '../../base/result.ts'
import { TestNetns } from '../../linux/test-netns.fixture.ts'
import type { Redirection } from '../../mesh/redirection.ts'
import { Libnftables } from '../../nftables/libnftables.ts'
import { PodRedirection } from './pod-redirection.ts'

const rules = new PodRedirection(unwrap(Libnftables.load()))
const redirected: Redirection = {
  profile: 'generic',
  inbound: {
    mode: 'redirect',
    proxyPort: 9006,
    ports: 'all',
    excludedPorts: [{ from: 22, to: 22 }],
    excludedSources: [],
  },
  outbound: { isOn: true, proxyPort: 9001, ports: [], excludedPorts: [], blocks: 'all', excludedBlocks: [] },
  proxy: { uids: [1500], gids: [] },
  excludedInterfaces: [],
}
const transparent: Redirection = { ...redirected, inbound: { ...redirected.inbound, mode: 'tproxy' } }

const nft = (pod: TestNetns, ...words: readonly string[]): string =>
  execFileSync('ip', ['netns', 'exec', pod.name, 'nft', ...words], { encoding: 'utf8', stdio: 'pipe' })
const routing = (pod: TestNetns): readonly string[] =>
  ['-4 rule', '-4 route show table 133', '-6 rule', '-6 route show table 133'].map((command) => {
    // iproute2 fails for a table that was never used.
    try {
      return pod.ip(command)
    } catch {
      return ''
    }
  })

describe('applying', () => {
  it('puts the table into the pod’s namespace, and the routing where it is transparent', async () => {
    using pod = new TestNetns()
    const before = routing(pod)
    expect(await rules.apply(pod.fd, redirected)).toEqual({ ok: true, value: undefined })
    expect(nft(pod, 'list', 'tables')).toBe('table inet vcn-mesh\n')
    expect(routing(pod)).toEqual(before)
    expect(await rules.apply(pod.fd, transparent)).toEqual({ ok: true, value: undefined })
    expect(routing(pod)).toEqual([
      expect.stringContaining('fwmark 0x539 lookup 133 proto 118'),
      expect.stringMatching(/^local default dev lo proto 118 scope host/),
      expect.stringContaining('fwmark 0x539 lookup 133 proto 118'),
      expect.stringMatching(/^local default dev lo proto 118/),
    ])
  })

  it('gives lo the address that Istio’s sidecar sends from over IPv6, where there is IPv6', async () => {
    using pod = new TestNetns()
    const istio: Redirection = { ...redirected, profile: 'istio' }
    for (let time = 0; time < 2; time++) unwrap(await rules.apply(pod.fd, istio))
    expect(pod.ip('-6 -o address show dev lo')).toContain('inet6 ::6/128')
    using without = new TestNetns()
    execFileSync('ip', ['netns', 'exec', without.name, 'sysctl', '-qw', 'net.ipv6.conf.lo.disable_ipv6=1'])
    expect(await rules.apply(without.fd, istio)).toEqual({ ok: true, value: undefined })
  })

  it.each([
    ['redirected', redirected],
    ['transparent', transparent],
  ])('changes nothing the second time: %s', async (_how, redirection) => {
    using pod = new TestNetns()
    unwrap(await rules.apply(pod.fd, redirection))
    const first = [nft(pod, 'list', 'ruleset'), ...routing(pod)]
    unwrap(await rules.apply(pod.fd, redirection))
    expect([nft(pod, 'list', 'ruleset'), ...routing(pod)]).toEqual(first)
  })

  it('leaves the tables of others alone', async () => {
    using pod = new TestNetns()
    nft(pod, 'add', 'table', 'ip', 'nat')
    unwrap(await rules.apply(pod.fd, redirected))
    expect(nft(pod, 'list', 'tables')).toContain('table ip nat\n')
  })

  it('does without IPv6 in a pod that has none', async () => {
    using pod = new TestNetns()
    execFileSync('ip', ['netns', 'exec', pod.name, 'sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1'])
    expect(await rules.apply(pod.fd, transparent)).toEqual({ ok: true, value: undefined })
    expect(routing(pod)[0]).toContain('lookup 133')
  })

  it('leaves nothing when the kernel refuses the routing', async () => {
    using pod = new TestNetns()
    const before = routing(pod)
    pod.ip('link set dev lo down')
    expect(await rules.apply(pod.fd, transparent)).toEqual({
      ok: false,
      error: expect.stringMatching(/^routing for transparent proxying, IPv6: .*ENETDOWN/) as unknown,
    })
    expect(nft(pod, 'list', 'tables')).toBe('')
    pod.ip('link set dev lo up')
    expect(routing(pod)).toEqual(before)
  })

  it('adds no routing when the kernel refuses the table', async () => {
    using pod = new TestNetns()
    const before = routing(pod)
    // Only the socket that made it may touch such a table (linux/netfilter/nf_tables.h, NFT_TABLE_F_OWNER).
    const owner = spawn('ip', ['netns', 'exec', pod.name, 'nft', '-i'], { stdio: ['pipe', 'ignore', 'ignore'] })
    try {
      owner.stdin.write('add table inet vcn-mesh { flags owner; }\n')
      await expect.poll(() => rules.isThere(pod.fd)).toBe(true)
      const refused = { ok: false, error: expect.stringContaining('Operation not permitted') as unknown }
      expect(await rules.apply(pod.fd, transparent)).toEqual(refused)
      expect(routing(pod)).toEqual(before)
    } finally {
      owner.kill('SIGKILL')
      await once(owner, 'exit')
    }
  })
})

describe('comparing', () => {
  test.each<[what: string, change: readonly string[], expected: unknown]>([
    ['nothing', [], undefined],
    ['a table of somebody else’s', ['add', 'table', 'ip', 'nat'], undefined],
    ['the table gone', ['delete', 'table', 'inet', 'vcn-mesh'], 'missing'],
    [
      'its rules flushed',
      ['flush', 'table', 'inet', 'vcn-mesh'],
      { how: expect.stringMatching(/has 0 rules/) as unknown },
    ],
    [
      'a rule of somebody else’s in it',
      ['add', 'rule', 'inet', 'vcn-mesh', 'CHAIN', 'accept'],
      { how: expect.stringMatching(/^chain .* rules, not/) as unknown },
    ],
  ])('%s', async (_what, change, expected) => {
    using pod = new TestNetns()
    unwrap(await rules.apply(pod.fd, redirected))
    const chain = /chain (\S+)/.exec(nft(pod, 'list', 'table', 'inet', 'vcn-mesh'))?.[1] ?? ''
    if (change.length > 0) nft(pod, ...change.map((word) => (word === 'CHAIN' ? chain : word)))
    expect(rules.difference(pod.fd, redirected)).toEqual(expected)
    expect(rules.isThere(pod.fd)).toBe(expected !== 'missing')
  })
})
