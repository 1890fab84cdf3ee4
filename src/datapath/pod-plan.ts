import { createHash } from 'node:crypto'
import { type AttachmentKey, formatAttachmentKey } from '../base/attachment.ts'
import { hostCidr } from '../base/cidr.ts'
import type { Ipv4 } from '../base/ip.ts'
import { parseIpv4Cidr } from '../base/cidr.ts'
import { unwrap } from '../base/result.ts'
import type { VethEnd } from '../linux/netlink/link.ts'
import { mainTable, type Route } from '../linux/netlink/route.ts'
import {
  gatewayMac,
  interfaceTable,
  macOf,
  podGateway,
  podRoutingProtocol,
  podTable,
  routingProtocol,
  rpFilter,
  sourceRulePriority,
} from './layout.ts'
import type { NetnsPlan } from './state.ts'

/** All the datapath has to know of one attachment. */
export interface PodAttachment {
  readonly key: AttachmentKey
  readonly address: Ipv4
  readonly hostIfname: string
  /** Chosen by us, the same at both ends of the pair. */
  readonly ifindex: number
  readonly mtuBytes: number
  /** The node's own address, which the node then uses towards the pod (kubelet's probes). */
  readonly nodeAddress?: Ipv4
}

export interface PodPlan {
  readonly hostEnd: VethEnd & { readonly ifindex: number }
  readonly podEnd: VethEnd
  readonly host: NetnsPlan
  readonly pod: NetnsPlan
  /** Instead of the routes of `pod`, when the pod has a default route already: a further interface, of Multus say. */
  readonly furtherInterface: Pick<NetnsPlan, 'routes' | 'rules'>
}

const loopbackIfindex = 1
const anywhere = unwrap(parseIpv4Cidr('0.0.0.0/0'))

export function planPod(attachment: PodAttachment): PodPlan {
  const { hostIfname, key, ifindex, mtuBytes, address } = attachment
  return {
    hostEnd: { name: hostIfname, mac: gatewayMac, mtuBytes, ifindex, up: true },
    podEnd: { name: key.ifname, mac: macOf(address), mtuBytes, ifindex },
    host: planHostSide(attachment),
    pod: planPodSide(attachment),
    furtherInterface: planFurtherInterface(attachment),
  }
}

/** The node's side: also what is repaired while the pod runs. */
export function planHostSide({ key, address, ifindex, nodeAddress }: PodAttachment): NetnsPlan {
  const toPod = {
    destination: hostCidr(address),
    ifindex,
    scope: 'link',
    protocol: routingProtocol,
    ...(nodeAddress !== undefined && { source: nodeAddress }),
  } as const
  return {
    links: [
      // Apart from the rest: the kernel refuses it where IPv6 is switched off (apply.ts).
      { ifindex, ipv6AddressGeneration: 'none' },
      {
        ifindex,
        up: true,
        alias: linkAlias(key),
        // Strict here is the anti-spoofing check: a source that does not route back through this veth is dropped.
        // Proxy ARP answers for the gateway once the pod has lost its permanent entry for it: a new MAC, such as the
        // plugin `tuning` sets, flushes them (net/ipv4/arp.c, arp_netdev_event).
        ipv4Conf: { forwarding: 1, proxyArp: 1, rpFilter: rpFilter.strict, sendRedirects: 0 },
      },
    ],
    addresses: [],
    // No permanent entry for the pod here: a later plugin of the chain (tuning) may give the pod another MAC.
    neighbours: [],
    routes: [
      { ...toPod, table: podTable },
      { ...toPod, table: mainTable },
    ],
    rules: [],
  }
}

function planPodSide({ address, ifindex }: PodAttachment): NetnsPlan {
  return {
    links: [
      { ifindex: loopbackIfindex, up: true },
      // First the mode, then up: the kernel makes its link-local address when the interface comes up.
      { ifindex, ipv6AddressGeneration: 'none' },
      { ifindex, up: true },
    ],
    addresses: [{ ifindex, cidr: hostCidr(address), scope: 'global' }],
    neighbours: [{ ifindex, address: podGateway, mac: gatewayMac }],
    routes: podRoutes(ifindex, mainTable),
    rules: [],
  }
}

// What has this interface's address as its source leaves by it; everything else stays with the first interface.
function planFurtherInterface({ address, ifindex }: PodAttachment): PodPlan['furtherInterface'] {
  const table = interfaceTable(ifindex)
  const rule = { family: 4, priority: sourceRulePriority, from: hostCidr(address), table } as const
  return { routes: podRoutes(ifindex, table), rules: [{ ...rule, protocol: podRoutingProtocol }] }
}

function podRoutes(ifindex: number, table: number): readonly Route[] {
  const route = { table, ifindex, protocol: podRoutingProtocol } as const
  return [
    { ...route, destination: hostCidr(podGateway), scope: 'link' },
    { ...route, destination: anywhere, gateway: podGateway, scope: 'global' },
  ]
}

const aliasPrefix = 'vcn-cni '
/** IFALIASZ less the closing zero (linux/if.h). A key is ASCII. */
const maxAliasBytes = 255

/** `ip link` shows whose interface it is, and a lost journal can be read back from the kernel. At most 255 bytes. */
export function linkAlias(key: AttachmentKey): string {
  const text = formatAttachmentKey(key)
  if (aliasPrefix.length + text.length <= maxAliasBytes) return aliasPrefix + text
  // Cannot be read back: with the journal lost, the address of such an interface is quarantined, not adopted.
  return `${aliasPrefix}~${createHash('sha1').update(text).digest('hex')}`
}

export function keyFromAlias(alias: string): AttachmentKey | undefined {
  const [network, containerId, ifname, ...rest] = alias.slice(aliasPrefix.length).split('/')
  if (!alias.startsWith(aliasPrefix) || rest.length > 0) return undefined
  if (network === undefined || containerId === undefined || ifname === undefined) return undefined
  return { network, containerId, ifname }
}
