import type { Vnic } from '../base/vnic.ts'
import { type Ipv4, isIpv4 } from '../base/ip.ts'
import type { NetnsState } from '../datapath/state.ts'
import { type LocatedVnic, locateVnic } from '../datapath/vnic-plan.ts'

/** The node's VNICs as far as the kernel has them. */
export interface NodeView {
  readonly located: readonly LocatedVnic[]
  /** In the address source, but no interface has their MAC. */
  readonly missing: readonly Vnic[]
  /** The node's own address, which it uses towards its pods. */
  readonly nodeAddress: Ipv4 | undefined
  /** Of all the node's interfaces. */
  readonly localAddresses: ReadonlySet<Ipv4>
}

export const unseenNode: NodeView = {
  located: [],
  missing: [],
  nodeAddress: undefined,
  localAddresses: new Set(),
}

export function viewNode(vnics: readonly Vnic[], state: Pick<NetnsState, 'links' | 'addresses'>): NodeView {
  const located: LocatedVnic[] = []
  const missing: Vnic[] = []
  for (const vnic of vnics) {
    const link = locateVnic(vnic, state.links)
    if (link === undefined) missing.push(vnic)
    else located.push({ vnic, link, localAddresses: addressesOf(state, (ifindex) => ifindex === link.ifindex) })
  }
  const localAddresses = new Set(addressesOf(state, () => true))
  return { located, missing, nodeAddress: nodeAddress(located, state), localAddresses }
}

function nodeAddress(located: readonly LocatedVnic[], state: Pick<NetnsState, 'addresses'>): Ipv4 | undefined {
  const primary = located.find(({ vnic }) => vnic.isPrimary)
  if (primary === undefined) return undefined
  const own = state.addresses
    .filter(({ ifindex, scope }) => ifindex === primary.link.ifindex && scope === 'global')
    .map(({ cidr }) => cidr.address)
    .filter(isIpv4)
  return own.find((address) => address === primary.vnic.primaryAddress) ?? own[0]
}

function addressesOf(state: Pick<NetnsState, 'addresses'>, belongs: (ifindex: number) => boolean): readonly Ipv4[] {
  return state.addresses
    .filter(({ ifindex }) => belongs(ifindex))
    .map(({ cidr }) => cidr.address)
    .filter(isIpv4)
}
