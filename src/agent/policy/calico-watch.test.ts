import { execFileSync } from 'node:child_process'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Logger } from '../../base/logger.ts'
import { withNetns } from '../../linux/netns.ts'
import { TestNetns } from '../../linux/test-netns.fixture.ts'
import { nft } from '../../nftables/nft-listing.fixture.ts'
import { CalicoWatch } from './calico-watch.ts'

let netns: TestNetns
let logged: string[]
beforeEach(() => {
  netns = new TestNetns()
  logged = []
})
afterEach(() => netns[Symbol.dispose]())

function newWatch(): CalicoWatch {
  const note = (event: string): void => void logged.push(event)
  const logger: Logger = { debug: note, info: note, warn: note, error: (event) => void logged.push(`error ${event}`) }
  return new CalicoWatch(logger)
}

function run(command: string, input: string): void {
  execFileSync('ip', ['netns', 'exec', netns.name, ...command.split(' ')], { input, stdio: 'pipe' })
}

const refusal = (): string | undefined => withNetns(netns.fd, () => newWatch().refusal())

/** As felix writes them in policy-only mode, for one pod whose interface has our prefix; it hashes rules in their comments. */
const felixRules = `*raw
:cali-PREROUTING - [0:0]
:cali-rpf-skip - [0:0]
-A PREROUTING -m comment --comment "cali:6gwbT8clXdHdC1b1" -j cali-PREROUTING
-A cali-PREROUTING -i oci+ -j MARK --set-xmark 0x40000/0x40000
-A cali-PREROUTING -m mark --mark 0x40000/0x40000 -j cali-rpf-skip
COMMIT
*filter
:cali-FORWARD - [0:0]
:cali-from-wl-dispatch - [0:0]
:cali-to-wl-dispatch - [0:0]
:cali-tw-oci0d7763386da - [0:0]
:cali-fw-oci0d7763386da - [0:0]
:cali-pi-_Tq1N4x0YcSzXrjYyZf3 - [0:0]
-A FORWARD -m comment --comment "cali:wUHhoiAYhphO9Mso" -j cali-FORWARD
-A cali-FORWARD -i oci+ -j cali-from-wl-dispatch
-A cali-FORWARD -o oci+ -j cali-to-wl-dispatch
-A cali-from-wl-dispatch -i oci0d7763386da -g cali-fw-oci0d7763386da
-A cali-to-wl-dispatch -o oci0d7763386da -g cali-tw-oci0d7763386da
-A cali-to-wl-dispatch -m comment --comment "Unknown interface" -j DROP
-A cali-tw-oci0d7763386da -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A cali-tw-oci0d7763386da -j cali-pi-_Tq1N4x0YcSzXrjYyZf3
-A cali-tw-oci0d7763386da -j DROP
COMMIT
`

describe.each(['iptables-legacy', 'iptables-nft', 'ip6tables-legacy', 'ip6tables-nft'])(
  'felix’ rules in %s',
  (tool) => {
    test('are found, table by table, and refused with both ways out', () => {
      run(`${tool}-restore`, felixRules)
      const said = refusal()
      expect(said).toContain(`2 chains cali-* in table raw (${tool})`)
      expect(said).toContain(`6 chains cali-* in table filter (${tool})`)
      expect(said).toContain('"policy: calico" under "kubernetes" in agent.yaml')
      expect(said).toContain('remove Calico from the cluster')
    })

    test('are not there any more when they are flushed', () => {
      run(`${tool}-restore`, felixRules)
      run(`${tool}-restore`, '*raw\nCOMMIT\n*filter\nCOMMIT\n')
      expect(refusal()).toBeUndefined()
    })
  },
)

test.each(['ip', 'ip6'])('felix’ nftables mode is known by its table of family %s', (family) => {
  run(
    'nft -f /dev/stdin',
    `table ${family} calico {
      chain filter-cali-FORWARD { }
      chain filter-FORWARD { type filter hook forward priority 0; jump filter-cali-FORWARD; }
    }\n`,
  )
  expect(refusal()).toContain(`found table ${family} calico (nftables): Calico enforces`)
})

test.each([
  ['nothing', '*filter\nCOMMIT\n'],
  ['kubelet’s and kube-proxy’s chains', '*filter\n:KUBE-FIREWALL - [0:0]\n:KUBE-FORWARD - [0:0]\nCOMMIT\n'],
  ['chains that only begin alike', '*filter\n:calico-dhcp-x - [0:0]\n:calibrated - [0:0]\n:x-cali-y - [0:0]\nCOMMIT\n'],
])('%s is no Calico', (_what, rules) => {
  run('iptables-nft-restore', rules)
  expect(refusal()).toBeUndefined()
})

test('a thousand pods’ chains are one phrase', () => {
  const chains = Array.from({ length: 2000 }, (_, index) => `:cali-tw-oci${index} - [0:0]\n`).join('')
  run('iptables-nft-restore', `*filter\n${chains}COMMIT\n`)
  expect(refusal()).toContain('found 2000 chains cali-* in table filter (iptables-nft): Calico')
})

describe('where our rules are at work', () => {
  test('an earlier agent’s are kept, and people are told at once', () => {
    run('iptables-legacy-restore', felixRules)
    nft(netns, 'add', 'table', 'ip', 'vcn-policy')
    const watch = newWatch()
    expect(withNetns(netns.fd, () => watch.refusal())).toBeUndefined()
    expect(watch.seen).toContain('6 chains cali-* in table filter (iptables-legacy)')
    expect(logged).toEqual(['error policy.calico'])
  })

  test('a Calico that comes later is told of once, and when it goes', () => {
    const watch = newWatch()
    const lookAgain = (): void => {
      withNetns(netns.fd, () => {
        watch.lookAgain()
      })
    }
    lookAgain()
    expect({ seen: watch.seen, logged }).toEqual({ seen: [], logged: [] })
    run('iptables-nft-restore', '*filter\n:cali-FORWARD - [0:0]\nCOMMIT\n')
    lookAgain()
    run('iptables-nft-restore', '*filter\n:cali-FORWARD - [0:0]\n:cali-INPUT - [0:0]\nCOMMIT\n')
    lookAgain()
    expect(watch.seen).toEqual(['2 chains cali-* in table filter (iptables-nft)'])
    expect(logged).toEqual(['error policy.calico'])
    run('iptables-nft-restore', '*filter\nCOMMIT\n')
    lookAgain()
    expect(watch.seen).toEqual([])
    expect(logged).toEqual(['error policy.calico', 'policy.calico.gone'])
  })
})
