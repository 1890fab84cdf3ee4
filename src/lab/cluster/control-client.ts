import net from 'node:net'
import { err, type Result } from '../../base/result.ts'
import { formatFieldErrors, parseWith } from '../../base/schema.ts'
import { clusterPaths } from '../cluster-paths.ts'
import {
  type CloudListing,
  type ClusterStatus,
  type ControlAnswer,
  controlAnswerSchema,
  type ControlRequest,
} from './control-protocol.ts'

/** Asks the cluster process of a lab. */
export async function askCluster(lab: string, request: ControlRequest, signal: AbortSignal): Promise<ControlAnswer> {
  let line: string
  try {
    line = await exchange(clusterPaths(lab).controlSocket, JSON.stringify(request), signal)
  } catch (error) {
    signal.throwIfAborted()
    const why = error instanceof Error ? error.message : String(error)
    return err(`the cluster process of lab ${lab} does not answer: ${why}`)
  }
  const parsed = parseWith(controlAnswerSchema, JSON.parse(line))
  return parsed.ok ? parsed.value : err(formatFieldErrors(parsed.error))
}

// Both ends are the same program: the answers' shapes are said by the protocol's types.
export async function clusterStatus(lab: string, signal: AbortSignal): Promise<Result<ClusterStatus, string>> {
  return (await askCluster(lab, { method: 'status' }, signal)) as Result<ClusterStatus, string>
}

export async function listCloud(lab: string, signal: AbortSignal): Promise<Result<CloudListing, string>> {
  return (await askCluster(lab, { method: 'cloud' }, signal)) as Result<CloudListing, string>
}

function exchange(path: string, line: string, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const socket = net.connect({ path, signal })
    socket.setEncoding('utf8')
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('it closed the connection')))
    socket.on('data', (chunk: string) => {
      text += chunk
      if (!text.endsWith('\n')) return
      socket.destroy()
      resolve(text)
    })
    socket.write(`${line}\n`)
  })
}
