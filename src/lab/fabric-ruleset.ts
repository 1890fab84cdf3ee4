import * as z from 'zod'
import { formatCidr } from '../base/cidr.ts'
import type { Ipv4 } from '../base/ip.ts'
import { parseWith } from '../base/schema.ts'
import { natPort } from './fabric-plan.ts'
import { type FabricState, type LabSubnet, type LabVnic, registeredAddresses } from './lab-state.ts'

// The VCN's ruleset. Everything about a VNIC is a set element, so that attaching one or registering an address while
// packets flow changes elements and no rule.

/** Source check with a drop counter by VNIC, NAT gateway, and ARP answered within the own subnet only. */
export function renderRuleset({ vcn, subnets, vnics }: FabricState): string {
  const cidr = formatCidr(vcn.cidr)
  const registered = vnics.flatMap((vnic) => registeredAddresses(vnic).map((address) => pair(vnic, address)))
  const checked = vnics.filter(isChecked).map(quoted)
  return `\
table ip vcn {
  set registered {
    type ifname . ipv4_addr
    ${elements(registered)}
  }
  set checked {
    type ifname
    counter
    ${elements(checked)}
  }
  chain source_check {
    type filter hook prerouting priority raw; policy accept;
    ip saddr ${cidr} ip daddr ${cidr} notrack
    iifname . ip saddr @registered accept
    iifname @checked drop
  }
  chain nat_gateway_inbound {
    type filter hook forward priority filter; policy accept;
    iifname "${natPort}" ct state != { established, related } drop
  }
  chain nat_gateway {
    type nat hook postrouting priority srcnat; policy accept;
    oifname "${natPort}" ip saddr ${cidr} masquerade
  }
}
table arp vcn {
${subnets.map((subnet) => portSet(subnet, vnics)).join('\n')}
  chain requests {
    type filter hook input priority filter; policy accept;
${subnets.map(foreignRequests).join('\n')}
  }
}
`
}

/** Element changes for a VNIC that comes or goes with all its addresses. */
export function renderVnicChange(verb: 'add' | 'delete', vnic: LabVnic): string {
  const registered = registeredAddresses(vnic).map((address) => pair(vnic, address))
  return [
    `${verb} element ip vcn registered { ${registered.join(', ')} }`,
    ...(isChecked(vnic) ? [`${verb} element ip vcn checked { ${quoted(vnic)} }`] : []),
    `${verb} element arp vcn ${portSetName(vnic.subnet)} { ${quoted(vnic)} }`,
    '',
  ].join('\n')
}

export function renderAddressChange(verb: 'add' | 'delete', vnic: LabVnic, address: Ipv4): string {
  return `${verb} element ip vcn registered { ${pair(vnic, address)} }\n`
}

export const dropsListing: readonly string[] = ['list', 'set', 'ip', 'vcn', 'checked']

const counterSchema = z.object({ elem: z.object({ val: z.string(), counter: z.object({ packets: z.number() }) }) })
const listingSchema = z.object({
  nftables: z.array(z.object({ set: z.object({ elem: z.array(counterSchema).default([]) }).optional() })),
})

/** Packets that the source check dropped, by port, from nft's JSON. */
export function parseDrops(listing: unknown): ReadonlyMap<string, number> {
  const parsed = parseWith(listingSchema, listing)
  if (!parsed.ok) throw new Error(`nft printed something unexpected: ${JSON.stringify(parsed.error)}`)
  const counters = parsed.value.nftables.flatMap(({ set }) => set?.elem ?? [])
  return new Map(counters.map(({ elem }) => [elem.val, elem.counter.packets]))
}

function portSet(subnet: LabSubnet, vnics: readonly LabVnic[]): string {
  const ports = vnics.filter((vnic) => vnic.subnet === subnet.name).map(quoted)
  return `\
  set ${portSetName(subnet.name)} {
    type ifname
    ${elements(ports)}
  }`
}

// Proxy ARP would answer for whatever there is a route to, such as the whole internet.
function foreignRequests(subnet: LabSubnet): string {
  const ports = portSetName(subnet.name)
  return `    arp operation request iifname @${ports} arp daddr ip != ${formatCidr(subnet.cidr)} drop`
}

function portSetName(subnet: string): string {
  return `subnet_${subnet.replaceAll('-', '_')}`
}

function isChecked(vnic: LabVnic): boolean {
  return !vnic.skipSourceDestCheck
}

function pair(vnic: LabVnic, address: Ipv4): string {
  return `${quoted(vnic)} . ${address}`
}

function quoted({ port }: LabVnic): string {
  return JSON.stringify(port)
}

function elements(members: readonly string[]): string {
  return members.length === 0 ? '' : `elements = { ${members.join(', ')} }`
}
