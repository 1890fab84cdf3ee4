import type { MeshCheck } from '../../agent/mesh/mesh-check.ts'
import { formatTable } from '../table.ts'

/** For people; problems stand at the end, a line each. */
export function describeMeshCheck(check: MeshCheck): string {
  const { pod, node, decision } = check
  const table = formatTable(
    ['pod', `${pod} on node ${node}`],
    [
      ['decision', decision],
      ['rules', rulesText(check)],
      ['probe', probeText(check)],
    ],
  )
  const problems = meshProblems(check)
  return problems.length === 0 ? table : `${table}${problems.map((problem) => `problem: ${problem}\n`).join('')}`
}

/** What is wrong, and what can be done about it. Nothing is with a pod that nobody wants in a mesh. */
export function meshProblems(check: MeshCheck): readonly string[] {
  const problem = decisionProblem(check) ?? tableProblem(check) ?? probeProblem(check)
  return problem === undefined ? [] : [problem]
}

const renew = 'delete the pod, so that it is made anew'
const installers: Readonly<Record<Exclude<MeshCheck['installer'], 'vcn-mesh'>, string>> = {
  istio: 'by Istio (istio-init or istio-cni)',
  linkerd: 'by Linkerd (linkerd-init or linkerd-cni)',
  nobody: 'by nobody',
}

function rulesText({ installer, table }: MeshCheck): string {
  if (installer !== 'vcn-mesh') return installers[installer]
  switch (table) {
    case 'as planned':
      return 'by vcn-mesh, as planned'
    case 'different':
      return 'by vcn-mesh, but not as planned'
    case 'unwanted':
    case 'not wanted':
    case 'missing':
      return 'by vcn-mesh, though it has nothing to do here'
  }
}

function probeText({ probe }: MeshCheck): string {
  const { target, outcome, redirectedTo } = probe
  const way = redirectedTo === undefined ? '' : `led to port ${redirectedTo}, `
  return `a connection to ${target}: ${way}${outcomes[outcome]}`
}

const outcomes: Readonly<Record<MeshCheck['probe']['outcome'], string>> = {
  accepted: 'accepted',
  refused: 'refused',
  silence: 'no answer',
  unreachable: 'no way there',
}

function decisionProblem({ kind, installer, doneBy }: MeshCheck): string | undefined {
  if (kind === 'invalid') return 'its annotations cannot be followed, so that it runs without a redirection'
  if (installer === 'nobody' && doneBy !== undefined)
    return `${doneBy} is to redirect its traffic, but has made no rules`
  return undefined
}

function tableProblem({ table, installer }: MeshCheck): string | undefined {
  switch (table) {
    case 'missing':
      // Somebody else’s rules were there first.
      if (installer !== 'nobody') return undefined
      return `table inet vcn-mesh is missing: the pod is older than kubernetes.mesh of this node, or somebody has removed it; ${renew}`
    case 'different':
      return `table inet vcn-mesh is not as planned: the pod's annotations have changed since it was made, or somebody has changed the table; ${renew}`
    case 'unwanted':
      return `table inet vcn-mesh is there, though nothing is to be redirected any more; ${renew}`
    case 'as planned':
    case 'not wanted':
      return undefined
  }
}

/** Where others have made the rules, it is not known what they leave alone. */
function probeProblem({ installer, probe, probeLeadsTo }: MeshCheck): string | undefined {
  const { outcome, redirectedTo } = probe
  if (installer === 'nobody') return undefined
  if (installer !== 'vcn-mesh')
    return outcome === 'refused' ? 'nobody listens for what is redirected: the sidecar does not run' : undefined
  if (probeLeadsTo === undefined) return undefined
  if (outcome === 'refused') return `nobody listens on port ${probeLeadsTo}: the sidecar does not run`
  if (redirectedTo === undefined)
    return `the connection was not redirected to port ${probeLeadsTo}, though the rules say so`
  if (redirectedTo !== probeLeadsTo)
    return `the connection was redirected to port ${redirectedTo}, not ${probeLeadsTo}: by somebody else's rules`
  return outcome === 'accepted' ? undefined : `on port ${probeLeadsTo} nobody answers: the sidecar hangs`
}
