import type { Logger } from '../../base/logger.ts'
import { ok, type Result } from '../../base/result.ts'
import { removeTable } from '../../nftables/remove-table.ts'
import type { TableName } from '../../nftables/render.ts'
import { isTableThere, isWithoutNftables } from '../../nftables/table-presence.ts'
import { policyTables } from '../../policy/closed-ipv6.ts'

const timeoutMs = 30_000

/**
 * For an agent that enforces no policies: the tables of an earlier one that did let no new pod through, and would enforce
 * for ever what was said then.
 */
export async function removeLeftoverPolicy(logger: Logger): Promise<Result<void, string>> {
  const leftovers = policyTables.filter(isLeft)
  const removals = await Promise.all(leftovers.map((table) => removeTable(table, AbortSignal.timeout(timeoutMs))))
  const failed = removals.find((removed) => !removed.ok)
  if (failed !== undefined) return failed
  if (leftovers.length > 0) {
    const tables = leftovers.map(({ family, name }) => `${family} ${name}`)
    logger.warn('policy.removed', { tables, note: 'of an earlier agent; this one enforces no network policy' })
  }
  return ok(undefined)
}

function isLeft(table: TableName): boolean {
  try {
    return isTableThere(table)
  } catch (error) {
    if (isWithoutNftables(error)) return false
    throw error
  }
}
