// Short ways to the values of plans.
import type { AttachmentKey } from '../base/attachment.ts'
import { type Ipv4Cidr, parseIpv4Cidr } from '../base/cidr.ts'
import { type Ipv4, parseIpv4 } from '../base/ip.ts'
import { type Mac, parseMac } from '../base/mac.ts'
import { unwrap } from '../base/result.ts'
import type { Vnic, VnicId } from '../base/vnic.ts'
import type { Link } from '../linux/netlink/link.ts'
import { hostIfname } from './host-ifname.ts'
import type { PodAttachment } from './pod-plan.ts'

export const ip4 = (text: string): Ipv4 => unwrap(parseIpv4(text))
export const cidr4 = (text: string): Ipv4Cidr => unwrap(parseIpv4Cidr(text))
export const mac = (text: string): Mac => unwrap(parseMac(text))

/** The attachment of eth0 of container `name`. */
export function attachmentKey(name: string, ifname = 'eth0'): AttachmentKey {
  return { network: 'vcn-cni', containerId: name, ifname }
}

/** eth0 of container `name`; `change` replaces fields. */
export function podAttachment(
  name: string,
  address: string,
  ifindex: number,
  change: Partial<PodAttachment> = {},
): PodAttachment {
  const key = change.key ?? attachmentKey(name)
  return { key, address: ip4(address), hostIfname: hostIfname(key, undefined), ifindex, mtuBytes: 9000, ...change }
}

/** A secondary VNIC of 10.0.4.0/24 unless `change` says otherwise. */
export function testVnic(
  name: string,
  vnicMac: string,
  addresses: readonly string[],
  change: Partial<Vnic> = {},
): Vnic {
  return {
    id: vnicId(name),
    mac: mac(vnicMac),
    isPrimary: false,
    subnetCidr: cidr4('10.0.4.0/24'),
    routerIp: ip4('10.0.4.1'),
    addresses: addresses.map(ip4),
    ...change,
  }
}

/** An interface as the kernel shows a physical one that is up. */
export function testLink(ifindex: number, change: Partial<Link> = {}): Link {
  return {
    ifindex,
    name: `ens${ifindex}`,
    up: true,
    mtuBytes: 9000,
    operState: 6,
    ipv4Conf: { forwarding: 0, proxyArp: 0, sendRedirects: 1, rpFilter: 0 },
    ...change,
  }
}

function vnicId(text: string): VnicId {
  return text as VnicId
}
