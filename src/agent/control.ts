import * as z from 'zod'
import { formatCidr } from '../base/cidr.ts'
import { err, ok, type Result } from '../base/result.ts'
import { formatFieldErrors, parseWith } from '../base/schema.ts'
import { type AddressPool, usage } from '../ipam/address-pool.ts'
import type { Journal } from '../ipam/journal.ts'
import type { AddressSource } from './address-source.ts'
import { type DeniedFlowsReport, deniedFlowsVersion } from './denied-flow.ts'
import { checkMesh, type MeshCheck, meshQuestion } from './mesh/mesh-check.ts'
import type { MeshHandler } from './mesh/mesh-handler.ts'
import type { NodeNetwork } from './node-network.ts'
import { type AgentStatus, agentStatusVersion } from './status.ts'

const methods = ['status', 'policy.denied', 'mesh.check'] as const
const questionSchema = z.discriminatedUnion(
  'method',
  [
    z.object({ method: z.literal('status') }),
    z.object({ method: z.literal('policy.denied') }),
    z.object({ method: z.literal('mesh.check'), pod: meshQuestion }),
  ],
  `must be ${methods.join(' or ')}`,
)
const kernelTimeoutMs = 5_000

export interface ControlSources {
  readonly nodeName: string
  readonly node: NodeNetwork
  readonly journal: Journal
  readonly pool: AddressPool
  readonly source: Pick<AddressSource, 'status' | 'deniedFlows' | 'mesh'>
  readonly mesh: Pick<MeshHandler, 'decide'>
  readonly warnings: readonly string[]
  /** Why the node cannot have addresses for pods yet. */
  readonly unavailable: string | undefined
}

/** vcnctl's questions over the agent's socket. */
export async function answerControl(
  question: unknown,
  sources: ControlSources,
): Promise<Result<AgentStatus | DeniedFlowsReport | MeshCheck, string>> {
  const parsed = parseWith(questionSchema, question)
  if (!parsed.ok) return err(formatFieldErrors(parsed.error))
  switch (parsed.value.method) {
    case 'status':
      return ok(describeStatus(sources))
    case 'policy.denied':
      return ok(await describeDeniedFlows(sources))
    case 'mesh.check': {
      const { nodeName, source, mesh: handler, journal } = sources
      return await checkMesh(parsed.value.pod, { nodeName, mesh: source.mesh, handler, attachments: journal.held() })
    }
  }
}

async function describeDeniedFlows({ nodeName: node, source }: ControlSources): Promise<DeniedFlowsReport> {
  const flows = (await source.deniedFlows?.(AbortSignal.timeout(kernelTimeoutMs))) ?? err(withoutPolicy)
  if (flows.ok) return { version: deniedFlowsVersion, node, ...flows.value }
  return { version: deniedFlowsVersion, node, problem: flows.error, flows: [], omitted: 0 }
}

const withoutPolicy = 'this agent enforces no network policy (agent.yaml says so by kubernetes.policy)'

function describeStatus({ nodeName, node, journal, pool, source, warnings, unavailable }: ControlSources): AgentStatus {
  const { vnics, strayed } = usage(pool)
  const usages = new Map(vnics.map((entry) => [entry.vnicId, entry]))
  const problems = unavailable === undefined ? node.problems : [unavailable]
  return {
    version: agentStatusVersion,
    node: nodeName,
    ready: problems.length === 0,
    problems,
    warnings,
    source: source.status(),
    rssBytes: process.memoryUsage.rss(),
    strayed,
    vnics: node.view.located.map(({ vnic, link }) => ({
      id: vnic.id,
      mac: vnic.mac,
      primary: vnic.isPrimary,
      ifname: link.name,
      ifindex: link.ifindex,
      subnetCidr: formatCidr(vnic.subnetCidr),
      total: vnic.addresses.length,
      held: usages.get(vnic.id)?.held ?? 0,
      cooling: usages.get(vnic.id)?.cooling ?? 0,
      quarantined: usages.get(vnic.id)?.quarantined ?? 0,
      free: usages.get(vnic.id)?.free ?? 0,
      releasing: vnic.addresses.length - (usages.get(vnic.id)?.total ?? vnic.addresses.length),
    })),
    attachments: journal.held().map(({ key, address, vnicId, hostIfname, ifindex, netns, pod, state }) => ({
      ...key,
      address,
      vnicId,
      hostIfname,
      ifindex,
      netns,
      state,
      ...(pod !== undefined && { pod }),
    })),
  }
}
