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

/** A table that outlives its agent, of family ip. */
export interface OutlivingTable {
  readonly name: string
  /** Begins with a verb, of this table. */
  readonly description: string
  /** The agent would make it again. */
  readonly isServedBy: (source: KubernetesSourceStatus) => boolean
  /** What such an agent does, as "serves Services". */
  readonly serving: string
  readonly remedy: string
}

/** The subcommand `cleanup` of whatever part of the agent has made the table. */
export function tableCleanupCommand(table: OutlivingTable): Command {
  return new Command('cleanup')
    .description(table.description)
    .option('--socket <path>', 'socket of the agent, which must not be in need of them', defaultSocketPath)
    .action(({ socket }: { socket: string }) => cleanUp(table, socket))
}

async function cleanUp(outliving: OutlivingTable, socketPath: string): Promise<void> {
  const { serving, remedy } = outliving
  const table: TableName = { family: 'ip', name: outliving.name }
  const title = `table ip ${outliving.name}`
  if (await isServed(outliving, socketPath)) {
    throw new CliError(`the agent at ${socketPath} ${serving} and would make ${title} again: ${remedy}`)
  }
  const wasThere = isTableThere(table)
  const removed = await removeTable(table, AbortSignal.timeout(timeoutMs))
  if (!removed.ok) throw new CliError(removed.error)
  if (!wasThere) {
    process.stdout.write(`${title} is not there\n`)
    return
  }
  await delay(repairMs)
  if (isTableThere(table)) {
    throw new CliError(`somebody has made ${title} again: ${remedy}`)
  }
  process.stdout.write(`removed ${title}\n`)
}

/** No agent, or one that does not answer, serves nothing that would come back by itself. */
async function isServed({ isServedBy }: OutlivingTable, socketPath: string): Promise<boolean> {
  try {
    const { source } = await fetchAgentStatus(socketPath, AbortSignal.timeout(timeoutMs))
    return source.kind === 'kubernetes' && isServedBy(source)
  } catch (error) {
    if (error instanceof CliError) return false
    throw error
  }
}
