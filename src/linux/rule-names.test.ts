import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { withNetns } from './netns.ts'
import { readRuleNames, type RuleNames } from './rule-names.ts'
import { openDescriptors, TestNetns } from './test-netns.fixture.ts'

let netns: TestNetns
beforeEach(() => {
  netns = new TestNetns()
})
afterEach(() => netns[Symbol.dispose]())

/** `COMMAND` in the namespace; words are separated by single spaces. */
function run(command: string, input = ''): void {
  execFileSync('ip', ['netns', 'exec', netns.name, ...command.split(' ')], { input, stdio: 'pipe' })
}

function read(isWanted: (chain: string) => boolean = () => true, links: readonly string[] = []): RuleNames {
  return withNetns(netns.fd, () => readRuleNames(isWanted, links))
}

const nothing: RuleNames = { nftablesTables: [], nftablesChains: [], legacyChains: [], links: [] }

test('a fresh namespace has nothing, and looking leaves nothing', () => {
  expect(read()).toEqual(nothing)
  const tables = withNetns(netns.fd, () => readFileSync('/proc/thread-self/net/ip_tables_names', 'utf8'))
  expect(tables).toBe('')
})

describe('iptables-legacy', () => {
  test('chains of all tables in both families, but not the built-in ones', () => {
    run('iptables-legacy -t nat -N ONE')
    run('iptables-legacy -t nat -A PREROUTING -m comment --comment hello -j ONE')
    run('iptables-legacy -t nat -A ONE -p tcp --dport 80 -j DNAT --to-destination 10.0.0.1:8080')
    run('iptables-legacy -N TWO')
    run('ip6tables-legacy -t mangle -N THREE')
    run('ip6tables-legacy -t mangle -A THREE -p udp --dport 53 -j MARK --set-mark 1')
    expect(new Set(read().legacyChains)).toEqual(
      new Set([
        { family: 4, table: 'nat', chain: 'ONE' },
        { family: 4, table: 'filter', chain: 'TWO' },
        { family: 6, table: 'mangle', chain: 'THREE' },
      ]),
    )
    expect(read()).toMatchObject({ nftablesTables: [], nftablesChains: [] })
  })

  test('a table without chains of anybody’s', () => {
    run('iptables-legacy -A INPUT -p tcp --dport 22 -j ACCEPT')
    expect(read()).toEqual(nothing)
  })

  test('the longest name, and one like the target that marks chains', () => {
    run(`iptables-legacy -N ${'x'.repeat(28)}`)
    run('iptables-legacy -N ERRORS')
    expect(
      read()
        .legacyChains.map(({ chain }) => chain)
        .sort(),
    ).toEqual(['ERRORS', 'x'.repeat(28)])
  })

  test('thousands of chains, of which few are wanted', () => {
    const names = Array.from({ length: 3000 }, (_, index) => `KUBE-SVC-${index}`)
    const chains = names.map((name) => `:${name} - [0:0]`)
    const rules = names.map((name, index) => `-A PREROUTING -d 10.96.${index >> 8}.${index & 255}/32 -j ${name}`)
    run('iptables-legacy-restore', ['*nat', ...chains, ...rules, 'COMMIT', ''].join('\n'))
    expect(read().legacyChains).toHaveLength(3000)
    expect(read((chain) => chain === 'KUBE-SVC-2999').legacyChains).toEqual([
      { family: 4, table: 'nat', chain: 'KUBE-SVC-2999' },
    ])
  })
})

describe('nf_tables', () => {
  test('iptables-nft’s chains are in tables of the ip and ip6 families', () => {
    run('iptables-nft -t nat -N ONE')
    run('ip6tables-nft -N TWO')
    const { nftablesTables, nftablesChains, legacyChains } = read()
    expect(nftablesTables).toEqual([
      { family: 'ip', table: 'nat' },
      { family: 'ip6', table: 'filter' },
    ])
    expect(nftablesChains.filter(({ chain }) => chain === 'ONE' || chain === 'TWO')).toEqual([
      { family: 'ip', table: 'nat', chain: 'ONE' },
      { family: 'ip6', table: 'filter', chain: 'TWO' },
    ])
    expect(legacyChains).toEqual([])
  })

  test.each(['ip', 'ip6', 'inet', 'arp', 'bridge', 'netdev'])('tables of family %s', (family) => {
    run(`nft add table ${family} kube-proxy`)
    expect(read()).toEqual({ ...nothing, nftablesTables: [{ family, table: 'kube-proxy' }] })
  })

  test('thousands of chains, of which few are wanted', () => {
    const chains = Array.from({ length: 5000 }, (_, index) => `add chain ip t service-${index}`)
    run('nft -f /dev/stdin', ['add table ip t', ...chains, ''].join('\n'))
    expect(read((chain) => chain === 'service-4999').nftablesChains).toEqual([
      { family: 'ip', table: 't', chain: 'service-4999' },
    ])
  })
})

test('interfaces that are there', () => {
  netns.ip('link add kube-ipvs0 type veth peer name other')
  expect(read(undefined, ['kube-ipvs0', 'absent0']).links).toEqual(['kube-ipvs0'])
})

test('no descriptor stays open', () => {
  run('iptables-legacy -t nat -N ONE')
  read()
  const before = openDescriptors()
  for (let round = 0; round < 10; round++) read()
  expect(openDescriptors()).toBe(before)
})
