import { err, ok, type Result } from '../base/result.ts'
import type { JsonObject } from '../kube/object.ts'
import { npnLimits } from '../kube/native-pod-network-spec.ts'
import type { Instance } from '../oci/core-services.ts'
import type { NodeDefaults } from './node-wish.ts'

/**
 * The `spec` of the resource to make for a node that has none: what its instance's metadata say (the keys that OKE's
 * node pools write), else the defaults. The error is a sentence about what is missing or wrong, and the remedy.
 */
export function specFromMetadata(
  { id, metadata }: Pick<Instance, 'id' | 'metadata'>,
  defaults: NodeDefaults,
): Result<JsonObject, string> {
  const subnets = listIn(metadata['pod-subnets']) ?? defaults.podSubnetIds
  const nsgs = listIn(metadata['pod-nsgids']) ?? defaults.networkSecurityGroupIds
  if (subnets.length === 0) {
    return err(
      'no subnet for pods: neither the instance’s metadata key pod-subnets nor defaults.podSubnetIds names one; set one of them',
    )
  }
  const families = listIn(metadata['ip-families'])
  const maxPodCount = podCount(metadata['oke-max-pods'])
  if (!maxPodCount.ok) return maxPodCount
  return ok({
    id,
    podSubnetIds: subnets,
    networkSecurityGroupIds: nsgs,
    ...(maxPodCount.value !== undefined && { maxPodCount: maxPodCount.value }),
    ...(families !== undefined && { ipFamilies: families }),
  })
}

function podCount(text: string | undefined): Result<number | undefined, string> {
  if (text === undefined || text.trim() === '') return ok(undefined)
  const count = Number(text)
  if (Number.isInteger(count) && count >= 1 && count <= npnLimits.maxPodCount) return ok(count)
  return err(
    `the instance’s metadata key oke-max-pods is ${JSON.stringify(text)}; it must be a whole number from 1 to ${npnLimits.maxPodCount}`,
  )
}

// Unverified how lists are written: commas in what Oracle's node pools show, JSON in what some tools write.
function listIn(text: string | undefined): readonly string[] | undefined {
  const entries = (text ?? '').split(/[\s,"'[\]]+/).filter((entry) => entry !== '')
  return entries.length === 0 ? undefined : entries
}
