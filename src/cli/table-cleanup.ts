import { setTimeout as delay } from 'node:timers/promises'
import { Command } from 'commander'
import type { KubernetesSourceStatus } from '../agent/status.ts'
import { removeTable } from '../nftables/remove-table.ts'
import type { TableName } from '../nftables/render.ts'
import { isTableThere } from '../nftables/table-presence.ts'
import { defaultSocketPath, fetchAgentStatus } from './agent-client.ts'
import { CliError } from './cli-error.ts'

const timeoutMs = 30_000
/** A running agent makes its table anew within half a second, when there is little to load. */
const repairMs = 1_500

/** Tables that outlive their agent. */
export interface OutlivingTables {
  readonly tables: readonly TableName[]
  /** Begins with a verb, of these tables. */
  readonly description: string
  /** The agent would make them again. */
  readonly isServedBy: (source: KubernetesSourceStatus) => boolean
  /** What such an agent does, as "serves Services". */
  readonly serving: string
  readonly remedy: string
}

/** The subcommand `cleanup` of whatever part of the agent has made the tables. */
export function tableCleanupCommand(outliving: OutlivingTables): Command {
  return new Command('cleanup')
    .description(outliving.description)
    .option('--socket <path>', 'socket of the agent, which must not be in need of them', defaultSocketPath)
    .action(({ socket }: { socket: string }) => cleanUp(outliving, socket))
}

async function cleanUp(outliving: OutlivingTables, socketPath: string): Promise<void> {
  const { tables, serving, remedy } = outliving
  if (await isServed(outliving, socketPath)) {
    const titles = tables.map(titleOf).join(' and ')
    throw new CliError(`the agent at ${socketPath} ${serving} and would make ${titles} again: ${remedy}`)
  }
  const there = tables.filter(isTableThere)
  for (const table of there) {
    const removed = await removeTable(table, AbortSignal.timeout(timeoutMs))
    if (!removed.ok) throw new CliError(removed.error)
  }
  if (there.length > 0) await delay(repairMs)
  const again = there.filter(isTableThere)
  if (again.length > 0) {
    throw new CliError(`somebody has made ${again.map(titleOf).join(' and ')} again: ${remedy}`)
  }
  for (const table of tables) {
    process.stdout.write(there.includes(table) ? `removed ${titleOf(table)}\n` : `${titleOf(table)} is not there\n`)
  }
}

function titleOf({ family, name }: TableName): string {
  return `table ${family} ${name}`
}

/** No agent, or one that does not answer, serves nothing that would come back by itself. */
async function isServed({ isServedBy }: OutlivingTables, socketPath: string): Promise<boolean> {
  try {
    const { source } = await fetchAgentStatus(socketPath, AbortSignal.timeout(timeoutMs))
    return source.kind === 'kubernetes' && isServedBy(source)
  } catch (error) {
    if (error instanceof CliError) return false
    throw error
  }
}
