// Rows of the journal and interfaces of the kernel, as an agent finds them when it starts.
import type { AttachmentKey } from '../base/attachment.ts'
import { hostCidr } from '../base/cidr.ts'
import type { VnicId } from '../base/vnic.ts'
import { hostIfname } from '../datapath/host-ifname.ts'
import { gatewayMac, podTable, routingProtocol } from '../datapath/layout.ts'
import { attachmentKey, ip4, testLink } from '../datapath/plan.fixture.ts'
import { linkAlias } from '../datapath/pod-plan.ts'
import type { CoolingRow, HeldRow } from '../ipam/journal-row.ts'
import type { Link } from '../linux/netlink/link.ts'
import type { Route } from '../linux/netlink/route.ts'

export const bootId = 'this-boot'
export const nowMs = 1_000_000

/** The attachment of eth0 of container `name`, with interface 70001 unless `change` says otherwise. */
export function heldRow(name: string, address: string, change: Partial<HeldRow> = {}): HeldRow {
  const key = change.key ?? attachmentKey(name)
  return {
    address: ip4(address),
    vnicId: vnicId('pods'),
    key,
    netns: `/run/netns/${name}`,
    hostIfname: hostIfname(key, undefined),
    createdMs: nowMs - 60_000,
    state: 'attached',
    ifindex: 70_001,
    bootId,
    previous: null,
    ...change,
  }
}

export function coolingRow(name: string, address: string, coolingUntilMs: number): CoolingRow {
  const { ifindex: _, previous: __, ...intent } = heldRow(name, address)
  return { ...intent, state: 'cooling', releasedMs: coolingUntilMs - 30_000, coolingUntilMs }
}

/** The node's end of the pod of `key`. */
export function podLink(key: AttachmentKey, ifindex: number, change: Partial<Link> = {}): Link {
  const name = hostIfname(key, undefined)
  return testLink(ifindex, { name, alias: linkAlias(key), kind: 'veth', mac: gatewayMac, ...change })
}

export function podRoute(address: string, ifindex: number, change: Partial<Route> = {}): Route {
  const destination = hostCidr(ip4(address))
  return { table: podTable, destination, ifindex, scope: 'link', protocol: routingProtocol, ...change }
}

function vnicId(text: string): VnicId {
  return text as VnicId
}
