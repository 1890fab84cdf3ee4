import { connect } from 'node:net'
import { err, type Result } from '../base/result.ts'
import { type AnswerFrame, answerFormat, type FrameError, FrameReader } from './frame.ts'

/**
 * Sends an encoded request to the agent and waits for its whole answer. The signal ends the wait at any point, with
 * `unreachable` and the signal's reason as the problem.
 */
export function requestOverSocket(
  socketPath: string,
  request: Buffer,
  signal: AbortSignal,
): Promise<Result<AnswerFrame, FrameError>> {
  const unreachable = (cause: unknown): Result<never, FrameError> =>
    err({ kind: 'unreachable', socketPath, problem: cause instanceof Error ? cause.message : String(cause) })
  if (signal.aborted) return Promise.resolve(unreachable(signal.reason))
  return new Promise((resolve) => {
    const reader = new FrameReader(answerFormat)
    const socket = connect({ path: socketPath })
    const giveUp = (): void => {
      settle(unreachable(signal.reason))
    }
    const settle = (outcome: Result<AnswerFrame, FrameError>): void => {
      signal.removeEventListener('abort', giveUp)
      socket.destroy()
      resolve(outcome)
    }
    signal.addEventListener('abort', giveUp, { once: true })
    socket.on('data', (chunk) => {
      const read = reader.push(chunk)
      if (read !== 'more') settle(read)
    })
    socket.on('end', () => {
      settle(reader.end())
    })
    socket.on('error', (error) => {
      settle(unreachable(error))
    })
    socket.write(request)
  })
}
