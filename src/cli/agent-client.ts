import type { AgentStatus } from '../agent/status.ts'
import { decodeControl, encodeControlRequest, formatFrameError } from '../cni/frame.ts'
import { requestOverSocket } from '../cni/frame-client.ts'
import { CliError } from './cli-error.ts'

/** Asks a running agent for its status. */
export async function fetchAgentStatus(socketPath: string, signal: AbortSignal): Promise<AgentStatus> {
  const answered = await requestOverSocket(socketPath, encodeControlRequest({ method: 'status' }), signal)
  if (!answered.ok) throw new CliError(formatFrameError(answered.error))
  const { exitCode, payload } = answered.value
  if (exitCode !== 0) throw new CliError(`the agent refused: ${payload.toString('utf8')}`)
  const status = decodeControl(payload)
  if (!status.ok) throw new CliError(formatFrameError(status.error))
  // The agent is the same program; its answer's shape is told by `version`.
  return status.value as AgentStatus
}
