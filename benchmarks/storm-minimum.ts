import type { Operation } from '../src/oci/oci-error.ts'
import { failingFaults, faultProbability, quota } from './storm-cloud.ts'

export interface QuotaMinimum {
  /** Calls that no controller gets around, by operation, when nothing goes wrong. */
  readonly calls: Readonly<Partial<Record<Operation, number>>>
  /** In which the quota lets them through: operations run side by side, so the largest count decides. */
  readonly seconds: number
  /** The same with the repeats that the fault plan makes necessary: failed calls use up the quota, too. */
  readonly secondsWithRepeats: number
}

/**
 * Every node has to be looked at (its metadata say what it wants), gets a VNIC, whose MAC address only GetVnic tells,
 * and objects of addresses. GetInstance and ListPrivateIps could be saved, by a list of all instances and by who trusts
 * its own memory; there are as many of the others, so it would save no time. Lists of attachments are shared by all nodes:
 * one before the attaches and one after.
 */
export function quotaMinimum(nodes: number, objectsOfNode: number): QuotaMinimum {
  const calls = {
    GetInstance: nodes,
    ListVnicAttachments: 2 * Math.ceil((2 * nodes) / 1000),
    AttachVnic: nodes,
    GetVnic: nodes,
    ListPrivateIps: nodes,
    CreatePrivateIp: nodes * objectsOfNode,
  }
  const most = Math.max(...Object.values(calls))
  const secondsOf = (count: number): number => Math.max(0, count - quota.burst) / quota.perSecond
  const repeats = 1 / (1 - faultProbability) ** failingFaults
  return { calls, seconds: secondsOf(most), secondsWithRepeats: secondsOf(most * repeats) }
}
