import * as z from 'zod'
import type { PodIdentity } from '../../base/attachment.ts'
import { err, ok, type Result } from '../../base/result.ts'
import type { HeldRow } from '../../ipam/journal-row.ts'
import type { MeshPod } from '../../kube/mesh-pod.ts'
import { formatAnnotationProblem } from '../../mesh/decide-redirection.ts'
import type { Profile, Redirection } from '../../mesh/redirection.ts'
import type { Fd } from '../../linux/fd.ts'
import { openPodNetns } from '../pod-netns.ts'
import { foreignRedirection } from './foreign-redirection.ts'
import type { MeshHandler } from './mesh-handler.ts'
import type { NodeMesh } from './node-mesh.ts'
import { probeRedirection, type RedirectionProbe } from './redirection-probe.ts'

/** Raised when a field changes its meaning or goes away. */
export const meshCheckVersion = 1

/** What is said and done about a pod's mesh: what `vcnctl mesh check` asks for. */
export interface MeshCheck {
  readonly version: typeof meshCheckVersion
  readonly node: string
  /** `namespace/name` */
  readonly pod: string
  /** Whose rules the pod should have. Absent: none of ours. */
  readonly profile?: Profile
  /** In words. */
  readonly decision: string
  /** Whose rules the pod's namespace has. */
  readonly installer: 'vcn-mesh' | 'istio' | 'linkerd' | 'nobody'
  /** Ours; `not wanted`: it is not there, and should not be. `different` and `unwanted`: from what the decision wants now. */
  readonly table: 'as planned' | 'missing' | 'different' | 'not wanted' | 'unwanted'
  readonly probe: RedirectionProbe
}

export const meshQuestion = z.object({
  namespace: z.string('must be the name of a namespace').min(1),
  name: z.string('must be the name of a pod').min(1),
})

export interface MeshCheckSources {
  readonly nodeName: string
  readonly mesh: NodeMesh | undefined
  readonly handler: Pick<MeshHandler, 'decide'>
  readonly attachments: readonly HeldRow[]
}

/** Looks into the pod's namespace and tries a connection out of it. The error says what is missing to do so. */
export async function checkMesh(pod: PodIdentity, sources: MeshCheckSources): Promise<Result<MeshCheck, string>> {
  const { nodeName: node, mesh, handler, attachments } = sources
  const name = `${pod.namespace}/${pod.name}`
  if (mesh === undefined) return err('kubernetes.mesh is not enabled on this node (agent.yaml)')
  const row = attachments.find((one) => one.pod?.namespace === pod.namespace && one.pod.name === pod.name)
  if (row === undefined) return err(`no pod ${name} is attached on node ${node}`)
  const known = mesh.pods.find(row.pod ?? pod)
  if (!known.ok) return err(known.error)
  const opened = openPodNetns(row.netns)
  if (!opened.ok) return err(opened.error.msg)
  using netns = opened.value
  const { redirection, decision } = decisionOf(known.value, handler)
  const found = describeTable(mesh, netns, redirection)
  return ok({
    version: meshCheckVersion,
    node,
    pod: name,
    ...(redirection !== undefined && { profile: redirection.profile }),
    decision,
    installer: found.isThere ? 'vcn-mesh' : (foreignRedirection(netns)?.installer ?? 'nobody'),
    table: found.table,
    probe: await probeRedirection(netns),
  })
}

function decisionOf(
  pod: MeshPod,
  handler: Pick<MeshHandler, 'decide'>,
): { readonly redirection?: Redirection; readonly decision: string } {
  const decided = handler.decide(pod)
  if (!decided.ok) return { decision: decided.error.map((one) => formatAnnotationProblem(pod, one)).join('; ') }
  if (decided.value.kind === 'none') return { decision: `not redirected: ${decided.value.because}` }
  const { redirection } = decided.value
  return { redirection, decision: `redirected, profile ${redirection.profile}` }
}

function describeTable(
  { redirection: rules }: NodeMesh,
  netns: Fd,
  wanted: Redirection | undefined,
): { readonly isThere: boolean; readonly table: MeshCheck['table'] } {
  if (wanted === undefined) {
    const isThere = rules.isThere(netns)
    return { isThere, table: isThere ? 'unwanted' : 'not wanted' }
  }
  const difference = rules.difference(netns, wanted)
  if (difference === undefined) return { isThere: true, table: 'as planned' }
  if (difference === 'missing') return { isThere: false, table: 'missing' }
  return { isThere: true, table: 'different' }
}
