import { isDeepStrictEqual } from 'node:util'
import { type Cidr, cidrContains, disjointBlocks, hostCidr, isIpv4Cidr } from '../base/cidr.ts'
import { familyOf, type Ip, isIpv4 } from '../base/ip.ts'
import type { Service } from '../kube/service.ts'
import type { ProxyNode } from './service-table.ts'

/** Who may send to a Service's load balancer addresses, and what that was made of. */
export interface AdmittedSources {
  readonly service: Service
  readonly node: ProxyNode
  /** Of the node's family, none within another, by address; absent: everybody. */
  readonly blocks?: readonly Cidr[]
}

/**
 * `earlier` is what this gave for the Service before: as long as they are the same blocks they are the same object, however
 * often its endpoints change. There may be thousands.
 */
export function admittedSources(service: Service, node: ProxyNode, earlier?: AdmittedSources): AdmittedSources {
  if (earlier?.service === service && earlier.node === node) return earlier
  const made = admittedBlocks(service, node)
  const blocks = isDeepStrictEqual(made, earlier?.blocks) ? earlier?.blocks : made
  return { service, node, ...(blocks !== undefined && { blocks }) }
}

export function virtualIps({ loadBalancerIngress }: Service, { family }: ProxyNode): readonly Ip[] {
  return loadBalancerIngress
    .filter(({ mode, address }) => mode === 'VIP' && familyOf(address) === family)
    .map(({ address }) => address)
}

function admittedBlocks(service: Service, node: ProxyNode): readonly Cidr[] | undefined {
  const vips = virtualIps(service, node)
  const { blocks, incomplete } = service.loadBalancerSourceRanges
  const ours = blocks.filter(({ address }) => familyOf(address) === node.family)
  if (vips.length === 0 || (ours.length === 0 && !incomplete)) return undefined
  // IPv6 is not served yet; its blocks then want arithmetic of their own.
  if (!ours.every(isIpv4Cidr)) return ours
  // A node that owns the VIP (some load balancers add it to an interface) sends to it from it.
  const { primaryAddress } = node
  const admitsNode =
    primaryAddress !== undefined && isIpv4(primaryAddress) && ours.some((block) => cidrContains(block, primaryAddress))
  // The kernel takes no overlapping ranges.
  return disjointBlocks(admitsNode ? [...ours, ...vips.filter(isIpv4).map((address) => hostCidr(address))] : ours)
}
