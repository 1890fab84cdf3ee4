import { setTimeout as delay } from 'node:timers/promises'
import { Command } from 'commander'
import { listNftablesNames } from '../linux/netlink/nftables-names.ts'
import { removeTable } from '../nftables/remove-table.ts'
import { serviceTableName } from '../proxy/rule-names.ts'
import { CliError } from './cli-error.ts'

const timeoutMs = 30_000
/** A running proxy makes its table anew within half a second, when there is little to load. */
const repairMs = 1_500
const title = `table ip ${serviceTableName}`

export function proxyCommand(): Command {
  return new Command('proxy')
    .description('the service proxy of this node')
    .addCommand(
      new Command('cleanup')
        .description(
          'remove the service proxy’s rules from the network namespace this runs in; ' +
            'turn it off in agent.yaml and restart the agent first, or it makes them again',
        )
        .action(cleanUp),
    )
}

async function cleanUp(): Promise<void> {
  const wasThere = isThere()
  const removed = await removeTable({ family: 'ip', name: serviceTableName }, AbortSignal.timeout(timeoutMs))
  if (!removed.ok) throw new CliError(removed.error)
  if (!wasThere) {
    process.stdout.write(`${title} is not there\n`)
    return
  }
  await delay(repairMs)
  if (isThere()) {
    throw new CliError(
      `somebody has made ${title} again: turn the service proxy off in agent.yaml (kubernetes.services) and restart ` +
        'the agent before the clean-up',
    )
  }
  process.stdout.write(`removed ${title}\n`)
}

function isThere(): boolean {
  const { tables } = listNftablesNames(() => false)
  return tables.some(({ family, table }) => family === 'ip' && table === serviceTableName)
}
