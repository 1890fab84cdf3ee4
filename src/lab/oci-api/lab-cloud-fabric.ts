import { cidrAddresses, type Ipv4Cidr } from '../../base/cidr.ts'
import type { Ipv4 } from '../../base/ip.ts'
import type { InstanceOcid, SubnetOcid, VnicOcid } from '../../oci/ocid.ts'
import type { Fabric } from '../fabric.ts'
import { firstPortIfindex } from '../lab-plan.ts'
import type { LabNode, LabVnic } from '../lab-state.ts'
import { portName } from '../names.ts'
import type { CloudFabric } from './cloud-fabric.ts'
import type { VnicRecord } from './cloud-records.ts'

export interface LabFabricOptions {
  readonly fabric: Fabric
  /** Which of the lab's nodes the instance is. */
  readonly nodeOf: (id: InstanceOcid) => LabNode
  /** The subnet's name in the lab. */
  readonly subnetNameOf: (id: SubnetOcid) => string
}

/** The lab's network namespaces as the data plane of the emulated API. One change after the other. */
export function labCloudFabric(options: LabFabricOptions): CloudFabric {
  const { fabric } = options
  let last: Promise<unknown> = Promise.resolve()
  // Fabric takes its state before it waits and puts it back after: two changes at once would lose one.
  const inTurn = (change: () => Promise<void>): Promise<void> => {
    const done = last.then(change)
    last = done.catch(() => undefined)
    return done
  }
  return {
    attachVnic: (vnic) => inTurn(() => fabric.attachVnic(planLabVnic(vnic, options))),
    detachVnic: (id) => inTurn(() => fabric.detachVnic(id)),
    registerAddress: (id, block) => inTurn(() => registerBlock(fabric, id, block)),
    unregisterAddress: (id, block) => inTurn(() => unregisterBlock(fabric, id, block)),
  }
}

function planLabVnic(vnic: VnicRecord, { fabric, nodeOf, subnetNameOf }: LabFabricOptions): LabVnic {
  const { name: node, netns } = nodeOf(vnic.instanceId)
  const others = fabric.state.vnics
  const names = new Set(others.filter((other) => other.node === node).map((other) => other.name))
  const name = firstFree(names)
  return {
    id: vnic.id,
    node,
    nodeNetns: netns,
    name,
    subnet: subnetNameOf(vnic.subnetId),
    mac: vnic.mac,
    isPrimary: vnic.isPrimary,
    primaryAddress: vnic.primaryAddress,
    secondaryAddresses: [],
    skipSourceDestCheck: vnic.skipSourceDestCheck,
    port: portName(node, name),
    portIfindex: Math.max(firstPortIfindex - 1, ...others.map(({ portIfindex }) => portIfindex)) + 1,
  }
}

/** Named as Oracle Linux does on virtual machines: by PCI slot, from ens3 on. */
function firstFree(names: ReadonlySet<string>): string {
  for (let slot = 3; ; slot++) if (!names.has(`ens${slot}`)) return `ens${slot}`
}

async function registerBlock(fabric: Fabric, id: VnicOcid, block: Ipv4Cidr): Promise<void> {
  const done: Ipv4[] = []
  try {
    for (const address of cidrAddresses(block)) {
      await fabric.registerAddress(id, address)
      done.push(address)
    }
  } catch (error) {
    for (const address of done) await fabric.unregisterAddress(id, address)
    throw error
  }
}

async function unregisterBlock(fabric: Fabric, id: VnicOcid, block: Ipv4Cidr): Promise<void> {
  for (const address of cidrAddresses(block)) await fabric.unregisterAddress(id, address)
}
