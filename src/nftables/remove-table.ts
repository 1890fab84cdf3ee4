import { err, ok, type Result } from '../base/result.ts'
import { Libnftables } from './libnftables.ts'
import type { TableName } from './render.ts'
import { NftablesWriter } from './writer.ts'

/** Takes a table of ours off the calling thread's namespace, if it is there. */
export async function removeTable(name: TableName, signal: AbortSignal): Promise<Result<void, string>> {
  const library = Libnftables.load()
  if (!library.ok) return library
  await using writer = new NftablesWriter({ library: library.value, ...name })
  const removed = await writer.remove(signal)
  return removed.ok ? ok(undefined) : err(removed.error.message)
}
