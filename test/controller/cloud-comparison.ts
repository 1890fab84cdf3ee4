import { formatCidr } from '../../src/base/cidr.ts'
import type { NativePodNetwork } from '../../src/kube/native-pod-network.ts'
import { addressesOf } from '../../src/controller/observation.ts'
import type { CloudModel } from '../../src/lab/oci-api/cloud-model.ts'

/**
 * What is wrong between the cloud and Kubernetes, in sentences; empty when every VNIC and address of the cluster is in
 * exactly one resource, on the right VNIC, and nothing is there twice.
 */
export function differences(model: CloudModel, npns: readonly NativePodNetwork[]): readonly string[] {
  const problems: string[] = []
  const cloud = new Map<string, ReadonlySet<string>>()
  for (const vnic of model.vnics.all()) {
    if (vnic.isPrimary || vnic.tags['vcn-cni/cluster'] === undefined) continue
    const objects = model.privateIps.filter(({ vnicId, isPrimary }) => vnicId === vnic.id && !isPrimary)
    const addresses = objects.flatMap(addressesOf)
    if (new Set(addresses).size !== addresses.length) problems.push(`${vnic.id} has an address twice`)
    cloud.set(vnic.id, new Set(addresses))
    for (const object of objects) {
      if (object.tags['vcn-cni/node'] !== vnic.instanceId) problems.push(`${formatCidr(object.cidr)} has not our tags`)
    }
  }
  const seen = new Map<string, string>()
  const published = new Set<string>()
  for (const { metadata, status } of npns) {
    if (!status.ok) {
      problems.push(`the status of ${metadata.name} does not parse`)
      continue
    }
    for (const { vnicId, addresses } of status.value.vnics) {
      published.add(vnicId)
      const real = cloud.get(vnicId)
      if (real === undefined) problems.push(`${metadata.name} names VNIC ${vnicId}, which the cloud does not have`)
      for (const address of addresses) {
        const other = seen.get(address)
        if (other !== undefined) problems.push(`${address} is in ${other} and in ${metadata.name}`)
        seen.set(address, metadata.name)
        if (real?.has(address) === false) problems.push(`${address} of ${metadata.name} is not on ${vnicId}`)
      }
      for (const address of real ?? []) {
        if (!addresses.some((one) => one === address))
          problems.push(`${address} of ${vnicId} is leaked: not in ${metadata.name}`)
      }
    }
  }
  for (const id of cloud.keys()) if (!published.has(id)) problems.push(`VNIC ${id} is leaked: in no resource`)
  return problems
}

/** VNICs for pods of each instance. */
export function podVnicCounts(model: CloudModel): readonly number[] {
  const counts = new Map<string, number>()
  for (const { isPrimary, instanceId } of model.vnics.all()) {
    if (!isPrimary) counts.set(instanceId, (counts.get(instanceId) ?? 0) + 1)
  }
  return [...counts.values()]
}
