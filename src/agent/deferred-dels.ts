import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from '../base/logger.ts'
import { err, type Result } from '../base/result.ts'
import { decodeInvocation, FrameReader, formatFrameError, requestFormat } from '../cni/frame.ts'
import type { Invocation } from '../cni/invocation.ts'

/** Where the executable leaves DELs that it could not hand over (native/vcn-cni.c). */
export const deferredDirectoryName = 'deferred-dels'

/** A DEL that the runtime has been told is done. */
export interface DeferredDel {
  readonly path: string
  /** When the executable gave up. */
  readonly deferredMs: number
  readonly invocation: Invocation
}

/** The DELs left behind, oldest first. A file that is no request is logged and left for a human. */
export async function readDeferredDels(stateDirectory: string, logger: Logger): Promise<readonly DeferredDel[]> {
  const directory = join(stateDirectory, deferredDirectoryName)
  const deferred: DeferredDel[] = []
  for (const name of (await listIfPresent(directory)).filter((entry) => entry.endsWith('.frame')).sort()) {
    const path = join(directory, name)
    const invocation = await readDeferred(path)
    if (invocation.ok) {
      deferred.push({ path, deferredMs: timeOf(name), invocation: invocation.value })
    } else {
      logger.error('deferred.unreadable', { path, problem: invocation.error })
    }
  }
  return deferred
}

export async function forgetDeferredDel({ path }: DeferredDel): Promise<void> {
  await rm(path, { force: true })
}

async function readDeferred(path: string): Promise<Result<Invocation, string>> {
  try {
    return parseFrame(await readFile(path))
  } catch (error) {
    // A directory, or gone since: no reason for the agent not to start.
    return err(error instanceof Error ? error.message : String(error))
  }
}

/** Names are `<nanoseconds since the epoch>-<pid>.frame`. */
function timeOf(name: string): number {
  const nanoseconds = /^(\d+)-/.exec(name)?.[1]
  return nanoseconds === undefined ? 0 : Number(BigInt(nanoseconds) / 1_000_000n)
}

function parseFrame(bytes: Buffer): Result<Invocation, string> {
  const reader = new FrameReader(requestFormat)
  const pushed = reader.push(bytes)
  const frame = pushed === 'more' ? reader.end() : pushed
  if (!frame.ok) return err(formatFrameError(frame.error))
  if (frame.value.kind !== 'cni') return err('not an execution of the plugin')
  const invocation = decodeInvocation(frame.value.payload)
  return invocation.ok ? invocation : err(formatFrameError(invocation.error))
}

async function listIfPresent(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  }
}
