import { Command } from 'commander'
import { Libnftables } from '../nftables/libnftables.ts'
import { NftablesWriter } from '../nftables/writer.ts'
import { serviceTableName } from '../proxy/rule-names.ts'
import { CliError } from './cli-error.ts'

const timeoutMs = 30_000

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
  const library = Libnftables.load()
  if (!library.ok) throw new CliError(library.error)
  await using writer = new NftablesWriter({ library: library.value, family: 'ip', name: serviceTableName })
  const removed = await writer.remove(AbortSignal.timeout(timeoutMs))
  if (!removed.ok) throw new CliError(removed.error.message)
  process.stdout.write(`table ip ${serviceTableName} is not there (any more)\n`)
}
