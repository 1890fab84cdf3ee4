import type { Ipv4 } from '../base/ip.ts'
import { ipToBytes } from '../base/ip.ts'
import { type Mac, macFromBytes } from '../base/mac.ts'

// Every number and address that this project puts into the kernel. docs/datapath.md shows them to operators.

/** RTPROT_* of our rules and of our routes on the node: what does not carry it is never touched. */
export const routingProtocol = 118
/** Routes inside a pod look like those of any other plugin (RTPROT_BOOT, which `ip route` does not print). */
export const podRoutingProtocol = 3

/** Holds the local pods' /32 routes and nothing else, so that a miss falls through to the other rules. */
export const podTable = 20_000
export const podRulePriority = 512
/**
 * From an address to the table of the interface that owns it: on the node a pod's address and its VNIC, in a pod the
 * address of a further interface of ours and that interface.
 */
export const sourceRulePriority = 1536

/**
 * The bit of the packet mark that leads a packet past the node's rules at `sourceRulePriority`, to the main table: for
 * replies whose source will be translated to an address that no secondary VNIC owns. It is set last in prerouting and
 * taken off first in forward: others do not see it, so that what matters is that no other sets it. Of the 32 bits this is
 * the only one that is Cilium's alone, which would be in our place: kube-proxy has 0x4000 and 0x8000, portmap 0x2000,
 * Istio compares 0xfff, AWS's plugin has 0x80, Calico, Weave and Tailscale 0xffff0000 (github.com/fwmark/registry).
 */
export const replyMark = 0x1000

/** Nothing leaves by it: for the addresses of VNICs that have no interface on the node. */
export const missingVnicTable = 29_999

/** The table of a VNIC, or of a pod's further interface. The interface index alone would reach 253–255, the kernel's own tables. */
export function interfaceTable(ifindex: number): number {
  return 30_000 + ifindex
}

/** An address of a VNIC that no pod holds: worse than any pod's route, so that it shows only when that is gone. */
export const unusedAddressMetric = 4_278_198_272

/** The pod's next hop: on no wire, answered by a permanent neighbour entry. */
export const podGateway = '169.254.1.1' as Ipv4
export const gatewayMac = macOf(podGateway)

/**
 * Explicit MAC of a pod, from its address: given at creation, it keeps systemd's MACAddressPolicy from changing it
 * under the permanent neighbour entry. 0a:58 is locally administered unicast.
 */
export function macOf(address: Ipv4): Mac {
  return macFromBytes(Buffer.concat([Buffer.of(0x0a, 0x58), ipToBytes(address)]))
}

/** net.ipv4.conf.*.rp_filter, Documentation/networking/ip-sysctl.rst */
export const rpFilter = { strict: 1, loose: 2 } as const
