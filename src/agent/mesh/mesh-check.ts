import * as z from 'zod'
import type { PodIdentity } from '../../base/attachment.ts'
import { err, ok, type Result } from '../../base/result.ts'
import type { HeldRow } from '../../ipam/journal-row.ts'
import type { MeshPod } from '../../kube/mesh-pod.ts'
import { formatAnnotationProblem, type MeshDecision } from '../../mesh/decide-redirection.ts'
import { portRedirectedTo } from '../../mesh/redirected-port.ts'
import type { Profile, Redirection } from '../../mesh/redirection.ts'
import type { Fd } from '../../linux/fd.ts'
import { openPodNetns } from '../pod-netns.ts'
import { foreignRedirection } from './foreign-redirection.ts'
import type { MeshHandler } from './mesh-handler.ts'
import type { NodeMesh } from './node-mesh.ts'
import { probeRedirection, probeTarget, type RedirectionProbe } from './redirection-probe.ts'

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
  /** What the agent makes of the pod; `invalid`: its annotations cannot be followed, and it runs unmeshed. */
  readonly kind: MeshDecision['kind'] | 'invalid'
  /** The same in words. */
  readonly decision: string
  /** The init container or the plugin that is to redirect the pod's traffic in our place. */
  readonly doneBy?: string
  /** Whose rules the pod's namespace has. */
  readonly installer: 'vcn-mesh' | 'istio' | 'linkerd' | 'nobody'
  /** Ours; `not wanted`: it is not there, and should not be. `different` and `unwanted`: from what the decision wants now. */
  readonly table: 'as planned' | 'missing' | 'different' | 'not wanted' | 'unwanted'
  readonly probe: RedirectionProbe
  /** The port of the sidecar that our rules lead the probe to. Absent: to none, or there are none of ours. */
  readonly probeLeadsTo?: number
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
  const { redirection, ...decided } = decisionOf(known.value, handler)
  const found = describeTable(mesh, netns, redirection)
  return ok({
    version: meshCheckVersion,
    node,
    pod: name,
    ...(redirection !== undefined && { profile: redirection.profile }),
    ...decided,
    installer: found.isThere ? 'vcn-mesh' : (foreignRedirection(netns)?.installer ?? 'nobody'),
    table: found.table,
    probe: await probeRedirection(netns),
    ...probeEnd(redirection, row.key.ifname),
  })
}

function probeEnd(redirection: Redirection | undefined, ifname: string): Pick<MeshCheck, 'probeLeadsTo'> {
  const port = redirection && portRedirectedTo(redirection, { ...probeTarget, ifname, uid: 0, gid: 0 })
  return port === undefined ? {} : { probeLeadsTo: port }
}

function decisionOf(
  pod: MeshPod,
  handler: Pick<MeshHandler, 'decide'>,
): Pick<MeshCheck, 'kind' | 'decision' | 'doneBy'> & { readonly redirection?: Redirection } {
  const decided = handler.decide(pod)
  if (!decided.ok) {
    const decision = decided.error.map((one) => formatAnnotationProblem(pod, one)).join('; ')
    return { kind: 'invalid', decision }
  }
  if (decided.value.kind === 'none') {
    const { kind, because, doneBy } = decided.value
    return { kind, decision: `not redirected: ${because}`, ...(doneBy !== undefined && { doneBy }) }
  }
  const { kind, redirection } = decided.value
  return { kind, redirection, decision: `redirected, profile ${redirection.profile}` }
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
