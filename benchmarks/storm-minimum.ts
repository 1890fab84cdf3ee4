import type { Operation } from '../src/oci/oci-error.ts'
import { attachDelayMs, failingFaults, faultProbability, quota } from './storm-cloud.ts'

export interface QuotaMinimum {
  /** Calls that no controller gets around, by operation, when nothing goes wrong. */
  readonly calls: Readonly<Partial<Record<Operation, number>>>
  /** In which the quota lets them through: operations run side by side, so the largest count decides. */
  readonly seconds: number
  /** The same with what the fault plan makes necessary, the repeats of failed calls and the last node's attach. */
  readonly secondsWithFaults: number
}

/**
 * Every node has to be looked at (its metadata say what it wants), gets a VNIC, whose MAC address only GetVnic tells,
 * and objects of addresses. A list of what is on the new VNIC could be saved by who trusts its own memory; it is as many
 * calls as the others, and decides nothing. Lists of attachments are shared by all nodes and decide nothing either.
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
  return { calls, seconds: secondsOf(most), secondsWithFaults: secondsOf(most * repeats) + attachDelayMs / 1000 }
}
