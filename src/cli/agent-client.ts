import type { DeniedFlowsReport } from '../agent/denied-flow.ts'
import type { MeshCheck } from '../agent/mesh/mesh-check.ts'
import type { AgentStatus } from '../agent/status.ts'
import { decodeControl, encodeControlRequest, formatFrameError } from '../cni/frame.ts'
import { requestOverSocket } from '../cni/frame-client.ts'
import { CliError } from './cli-error.ts'

/** Where an agent listens whose command line names no other. */
export const defaultSocketPath = '/run/vcn-cni/agent.sock'

/** Asks a running agent for its status. */
export async function fetchAgentStatus(socketPath: string, signal: AbortSignal): Promise<AgentStatus> {
  // The agent is the same program; its answers' shapes are told by `version`.
  return (await askAgent(socketPath, { method: 'status' }, signal)) as AgentStatus
}

/** Asks a running agent for the flows that its policies denied within the last minute. */
export async function fetchDeniedFlows(socketPath: string, signal: AbortSignal): Promise<DeniedFlowsReport> {
  return (await askAgent(socketPath, { method: 'policy.denied' }, signal)) as DeniedFlowsReport
}

/** Asks a running agent what is said and done about the mesh of a pod of its node. */
export async function fetchMeshCheck(
  socketPath: string,
  pod: { readonly namespace: string; readonly name: string },
  signal: AbortSignal,
): Promise<MeshCheck> {
  return (await askAgent(socketPath, { method: 'mesh.check', pod }, signal)) as MeshCheck
}

async function askAgent(socketPath: string, question: object, signal: AbortSignal): Promise<unknown> {
  const answered = await requestOverSocket(socketPath, encodeControlRequest(question), signal)
  if (!answered.ok) throw new CliError(formatFrameError(answered.error))
  const { exitCode, payload } = answered.value
  if (exitCode !== 0) throw new CliError(`the agent refused: ${payload.toString('utf8')}`)
  const answer = decodeControl(payload)
  if (!answer.ok) throw new CliError(formatFrameError(answer.error))
  return answer.value
}
