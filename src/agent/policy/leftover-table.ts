import type { Logger } from '../../base/logger.ts'
import { ok, type Result } from '../../base/result.ts'
import { removeTable } from '../../nftables/remove-table.ts'
import type { TableName } from '../../nftables/render.ts'
import { isTableThere, isWithoutNftables } from '../../nftables/table-presence.ts'
import { policyTableName } from '../../policy/rule-names.ts'

const tableName: TableName = { family: 'ip', name: policyTableName }
const timeoutMs = 30_000

/**
 * For an agent that enforces no policies: the table of an earlier one that did lets no new pod through, and would enforce
 * for ever what was said then.
 */
export async function removeLeftoverPolicy(logger: Logger): Promise<Result<void, string>> {
  try {
    if (!isTableThere(tableName)) return ok(undefined)
  } catch (error) {
    if (isWithoutNftables(error)) return ok(undefined)
    throw error
  }
  const removed = await removeTable(tableName, AbortSignal.timeout(timeoutMs))
  if (removed.ok)
    logger.warn('policy.removed', {
      table: policyTableName,
      note: 'of an earlier agent; this one enforces no network policy',
    })
  return removed
}
