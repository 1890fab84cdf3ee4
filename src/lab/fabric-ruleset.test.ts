import { expect, it } from 'vitest'
import { unwrap } from '../base/result.ts'
import { parseDrops, renderRuleset, renderVnicChange } from './fabric-ruleset.ts'
import { planLab } from './lab-plan.ts'
import { parseScenario } from './scenario-file.ts'

const scenario = unwrap(
  parseScenario(`
vcn: { cidr: 10.0.0.0/16 }
subnets: [{ name: node-net, cidr: 10.0.0.0/30 }, { name: pods, cidr: 10.0.1.0/30 }]
nodes:
  - name: n
    vnics: [{ name: ens3, subnet: node-net, primary: true }, { name: ens5, subnet: pods, skipSourceDestCheck: true }]
`),
)
const { fabric } = planLab('l', scenario, 1, '')

it('one rule for all VNICs: what distinguishes them are set elements', () => {
  expect(renderRuleset(fabric)).toBe(`\
table ip vcn {
  set registered {
    type ifname . ipv4_addr
    elements = { "n.ens3" . 10.0.0.2, "n.ens5" . 10.0.1.2 }
  }
  set checked {
    type ifname
    counter
    elements = { "n.ens3" }
  }
  chain source_check {
    type filter hook prerouting priority raw; policy accept;
    ip saddr 10.0.0.0/16 ip daddr 10.0.0.0/16 notrack
    iifname . ip saddr @registered accept
    iifname @checked drop
  }
  chain nat_gateway_inbound {
    type filter hook forward priority filter; policy accept;
    iifname "nat-gateway" ct state != { established, related } drop
  }
  chain nat_gateway {
    type nat hook postrouting priority srcnat; policy accept;
    oifname "nat-gateway" ip saddr 10.0.0.0/16 masquerade
  }
}
table arp vcn {
  set subnet_node_net {
    type ifname
    elements = { "n.ens3" }
  }
  set subnet_pods {
    type ifname
    elements = { "n.ens5" }
  }
  chain requests {
    type filter hook input priority filter; policy accept;
    arp operation request iifname @subnet_node_net arp daddr ip != 10.0.0.0/30 drop
    arp operation request iifname @subnet_pods arp daddr ip != 10.0.1.0/30 drop
  }
}
`)
})

it('a VNIC comes and goes by elements; without the check it is in no set of checked ones', () => {
  const [checked, unchecked] = fabric.vnics
  if (checked === undefined || unchecked === undefined) throw new Error('an empty fabric')
  expect(renderVnicChange('add', checked)).toBe(`\
add element ip vcn registered { "n.ens3" . 10.0.0.2 }
add element ip vcn checked { "n.ens3" }
add element arp vcn subnet_node_net { "n.ens3" }
`)
  expect(renderVnicChange('delete', unchecked)).toBe(`\
delete element ip vcn registered { "n.ens5" . 10.0.1.2 }
delete element arp vcn subnet_pods { "n.ens5" }
`)
})

it('reads the drop counters that nft prints', () => {
  const listing = {
    nftables: [
      { metainfo: { version: '1.0.6' } },
      { set: { name: 'checked', elem: [{ elem: { val: 'n.ens3', counter: { packets: 2, bytes: 168 } } }] } },
    ],
  }
  expect(parseDrops(listing)).toEqual(new Map([['n.ens3', 2]]))
  expect(() => parseDrops({ nftables: [{ set: { elem: [{ elem: {} }] } }] })).toThrow(/nftables\[0\]/)
})
