import { setTimeout as delay } from 'node:timers/promises'
import { Command } from 'commander'
import { removeTable } from '../nftables/remove-table.ts'
import type { TableName } from '../nftables/render.ts'
import { isTableThere } from '../nftables/table-presence.ts'
import { serviceTableName } from '../proxy/rule-names.ts'
import { fetchAgentStatus } from './agent-client.ts'
import { CliError } from './cli-error.ts'

const timeoutMs = 30_000
/** A running proxy makes its table anew within half a second, when there is little to load. */
const repairMs = 1_500
const table: TableName = { family: 'ip', name: serviceTableName }
const title = `table ip ${serviceTableName}`

const remedy =
  'turn the service proxy off in agent.yaml (kubernetes.services) and restart the agent before the clean-up'

export function proxyCommand(): Command {
  return new Command('proxy').description('the service proxy of this node').addCommand(
    new Command('cleanup')
      .description(
        'remove the service proxy’s rules from the network namespace this runs in; ' +
          'turn it off in agent.yaml and restart the agent first, or it makes them again',
      )
      .option('--socket <path>', 'socket of the agent, which must not be serving Services', '/run/vcn-cni/agent.sock')
      .action(({ socket }: { socket: string }) => cleanUp(socket)),
  )
}

async function cleanUp(socketPath: string): Promise<void> {
  if (await isServing(socketPath)) {
    throw new CliError(`the agent at ${socketPath} serves Services and would make ${title} again: ${remedy}`)
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
async function isServing(socketPath: string): Promise<boolean> {
  try {
    const { source } = await fetchAgentStatus(socketPath, AbortSignal.timeout(timeoutMs))
    return source.kind === 'kubernetes' && source.services !== undefined
  } catch (error) {
    if (error instanceof CliError) return false
    throw error
  }
}
