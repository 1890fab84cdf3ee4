import { formatAttachmentKey } from '../base/attachment.ts'
import type { Logger } from '../base/logger.ts'
import { err, ok, type Result } from '../base/result.ts'
import { type CniError, cniError } from '../cni/errors.ts'
import { parseRequest } from '../cni/request.ts'
import type { Journal } from '../ipam/journal.ts'
import type { Attachments } from './attachments.ts'
import { type DeferredDel, forgetDeferredDel, readDeferredDels } from './deferred-dels.ts'
import { meshExecutableName } from './installation.ts'
import type { RequestGate } from './request-gate.ts'

export interface ReplayDependencies {
  readonly attachments: Attachments
  readonly journal: Journal
  readonly gate: RequestGate
  readonly logger: Logger
}

/** Does what the executable was asked for while no agent was there; what fails stays for the next time. */
export async function replayDeferredDels(stateDirectory: string, deps: ReplayDependencies): Promise<void> {
  const { logger } = deps
  for (const deferred of await readDeferredDels(stateDirectory, logger)) {
    const { path } = deferred
    const replayed = await replay(deferred, deps)
    if (replayed.ok) {
      await forgetDeferredDel(deferred)
      logger.info('deferred.replayed', { path, outcome: replayed.value })
    } else {
      logger.error('deferred.failed', { path, ...replayed.error })
    }
  }
}

async function replay(
  { invocation, deferredMs }: DeferredDel,
  { attachments, journal, gate }: ReplayDependencies,
): Promise<Result<'deleted' | 'nothing to delete', CniError>> {
  const request = parseRequest(invocation)
  if (!request.ok) return request
  if (request.value.command !== 'DEL') return err(cniError('INVALID_ENVIRONMENT', 'CNI_COMMAND: is not DEL'))
  // The attachment is vcn-cni's; what vcn-mesh made went with the pod's namespace.
  if (invocation.program === meshExecutableName) return ok('nothing to delete')
  const { key } = request.value
  return await gate.run(formatAttachmentKey(key), async () => {
    const row = journal.find(key)
    // The same container may have been attached again since: that is not what this DEL was for.
    if (row === undefined || row.createdMs > deferredMs) return ok('nothing to delete')
    const released = await attachments.release(row)
    return released.ok ? ok('deleted') : released
  })
}
