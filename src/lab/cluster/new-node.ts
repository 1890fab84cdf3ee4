import { unwrap } from '../../base/result.ts'
import { parseVnicOcid, type SubnetOcid } from '../../oci/ocid.ts'
import type { LabNode, LabState, LabVnic } from '../lab-state.ts'
import { firstPortIfindex } from '../lab-plan.ts'
import { nodeNetns, parseNodeName, portName } from '../names.ts'
import type { CloudModel } from '../oci-api/cloud-model.ts'

/** A node like the others, as the cloud would place it: everything about it is decided here, nothing is made. */
export function planNewNode(
  lab: LabState,
  name: string,
  cloud: { readonly model: CloudModel; readonly subnetId: (name: string) => SubnetOcid },
): { readonly node: LabNode; readonly vnic: LabVnic } {
  unwrap(parseNodeName(name))
  if (lab.nodes.some((node) => node.name === name)) throw new Error(`lab ${lab.name} already has a node ${name}`)
  const primaries = lab.fabric.vnics.filter(({ isPrimary }) => isPrimary)
  const subnet = primaries[0]?.subnet ?? lab.fabric.subnets[0]?.name ?? ''
  const block = cloud.model.space(cloud.subnetId(subnet)).find(32)
  if (block === undefined) throw new Error(`subnet ${subnet} has no free address for ${name}`)
  const netns = nodeNetns(lab.name, name)
  const ifname = primaries[0]?.name ?? 'ens3'
  const highest = Math.max(firstPortIfindex - 1, ...lab.fabric.vnics.map(({ portIfindex }) => portIfindex))
  return {
    node: { name, netns },
    vnic: {
      id: unwrap(parseVnicOcid(cloud.model.newOcid('vnic'))),
      node: name,
      nodeNetns: netns,
      name: ifname,
      subnet,
      mac: cloud.model.newMac(),
      isPrimary: true,
      primaryAddress: block.address,
      secondaryAddresses: [],
      skipSourceDestCheck: false,
      port: portName(name, ifname),
      portIfindex: highest + 1,
    },
  }
}
