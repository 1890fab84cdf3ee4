import { execFileSync } from 'node:child_process'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { withNetns } from '../linux/netns.ts'
import { readRuleNames } from '../linux/rule-names.ts'
import { TestNetns } from '../linux/test-netns.fixture.ts'
import { findRivals, isRivalChain, refusalBesideRivals, rivalLinks } from './rival-detection.ts'

let netns: TestNetns
beforeEach(() => {
  netns = new TestNetns()
})
afterEach(() => netns[Symbol.dispose]())

function run(command: string, input: string): void {
  execFileSync('ip', ['netns', 'exec', netns.name, ...command.split(' ')], { input, stdio: 'pipe' })
}

const rivals = (): readonly string[] => findRivals(withNetns(netns.fd, () => readRuleNames(isRivalChain, rivalLinks)))

/** As kube-proxy's iptables mode writes them, for one service. */
const iptablesRules = `*filter
:KUBE-SERVICES - [0:0]
:KUBE-EXTERNAL-SERVICES - [0:0]
:KUBE-FORWARD - [0:0]
-A INPUT -m conntrack --ctstate NEW -j KUBE-EXTERNAL-SERVICES
-A FORWARD -j KUBE-FORWARD
COMMIT
*nat
:KUBE-SERVICES - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-SVC-ERIFXISQEP7F7OF4 - [0:0]
:KUBE-SEP-IT2ZTR26TO4XFPTO - [0:0]
-A PREROUTING -j KUBE-SERVICES
-A OUTPUT -j KUBE-SERVICES
-A POSTROUTING -j KUBE-POSTROUTING
-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000
-A KUBE-SERVICES -d 10.96.0.10/32 -p tcp -m tcp --dport 53 -j KUBE-SVC-ERIFXISQEP7F7OF4
-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
-A KUBE-SVC-ERIFXISQEP7F7OF4 -j KUBE-SEP-IT2ZTR26TO4XFPTO
-A KUBE-SEP-IT2ZTR26TO4XFPTO -p tcp -m tcp -j DNAT --to-destination 10.244.0.2:53
COMMIT
`

/** What kubelet makes on every node, and what kube-proxy --cleanup leaves. */
const kubeletRules = `*mangle
:KUBE-KUBELET-CANARY - [0:0]
:KUBE-IPTABLES-HINT - [0:0]
:KUBE-PROXY-CANARY - [0:0]
COMMIT
*filter
:KUBE-FIREWALL - [0:0]
-A INPUT -j KUBE-FIREWALL
COMMIT
*nat
:KUBE-POSTROUTING - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-MARK-DROP - [0:0]
-A POSTROUTING -j KUBE-POSTROUTING
COMMIT
`

describe.each([
  ['iptables-legacy', 'iptables-legacy-restore'],
  ['iptables-nft', 'iptables-nft-restore'],
  ['ip6tables-legacy', 'ip6tables-legacy-restore'],
  ['ip6tables-nft', 'ip6tables-nft-restore'],
])('with %s', (tool, restore) => {
  const inFamily = (rules: string): string =>
    tool.startsWith('ip6')
      ? rules.replace('10.96.0.10/32', 'fd00:96::a/128').replace('10.244.0.2:53', '[fd00:244::2]:53')
      : rules

  test('kube-proxy’s rules are found, by the chains that only it has', () => {
    run(restore, inFamily(iptablesRules))
    expect(new Set(rivals())).toEqual(
      new Set([
        `chain KUBE-SERVICES in table filter (${tool})`,
        `chain KUBE-EXTERNAL-SERVICES in table filter (${tool})`,
        `chain KUBE-SERVICES in table nat (${tool})`,
        `chain KUBE-NODEPORTS in table nat (${tool})`,
      ]),
    )
  })

  test('kubelet’s chains, and what a clean-up leaves, are no rivals', () => {
    run(restore, kubeletRules)
    expect(rivals()).toEqual([])
  })

  test('nothing is found any more when the rules are gone', () => {
    run(restore, inFamily(iptablesRules))
    run(restore, '*nat\nCOMMIT\n*filter\nCOMMIT\n')
    expect(rivals()).toEqual([])
  })
})

test.each(['ip', 'ip6'])('the nftables mode’s table of family %s is found', (family) => {
  run('nft -f /dev/stdin', `table ${family} kube-proxy { chain services { }; }\n`)
  expect(rivals()).toEqual([`table ${family} kube-proxy (nftables)`])
})

test('IPVS mode is found by its interface', () => {
  // kube-proxy makes a dummy of this name; the kind does not matter here.
  netns.ip('link add kube-ipvs0 type veth peer name other')
  expect(rivals()).toEqual(['interface kube-ipvs0 (IPVS)'])
})

test('our table and other people’s are no rivals', () => {
  run('nft -f /dev/stdin', 'table ip vcn-cni-services { chain services { }; }\ntable inet firewalld { chain x { }; }\n')
  expect(rivals()).toEqual([])
})

describe('the refusal', () => {
  test('is none without a rival', () => {
    expect(refusalBesideRivals([])).toBeUndefined()
  })

  test('tells what was found, what it means, and both ways out', () => {
    const refusal = refusalBesideRivals(['table ip kube-proxy (nftables)'])
    expect(refusal).toContain('found table ip kube-proxy (nftables): kube-proxy runs here, or ran here')
    expect(refusal).toContain('leave this proxy off')
    expect(refusal).toContain('kube-proxy --cleanup')
  })

  test('stays a sentence however much was found', () => {
    const many = Array.from({ length: 12 }, (_, index) => `chain KUBE-${index}`)
    expect(refusalBesideRivals(many)).toContain('found chain KUBE-0, chain KUBE-1, chain KUBE-2, 9 more: kube-proxy')
  })
})
