import { Command } from 'commander'
import { err, ok, type Result } from '../../base/result.ts'
import { CliError } from '../cli-error.ts'
import { interruptible } from '../interrupt.ts'
import { nameOption, openCluster, viaResult } from './lab-options.ts'

const waitTimeoutMs = 180_000

interface ScaleFlags {
  readonly name: string
  readonly wait: boolean
}

export function scaleCommand(): Command {
  return new Command('scale')
    .description('make or delete pods of a set, labelled app=SET, until there are so many; the newest go first')
    .argument('<set>', 'a set of the scenario, or a new name: its pods run nothing')
    .argument('<count>', 'how many', viaResult(parseCount))
    .addOption(nameOption())
    .option('--wait', 'until all of them are ready and the others gone, at most 3 minutes', false)
    .action(async (setName: string, count: number, { name, wait }: ScaleFlags) => {
      const { settings } = openCluster(name)
      const [{ clusterClient }, { ensureService, scaleSet, waitForSet }] = await Promise.all([
        import('../../lab/cluster/cluster-up.ts'),
        import('../../lab/cluster/pod-sets.ts'),
      ])
      const set = settings.sets.find((one) => one.name === setName) ?? { name: setName, replicas: 0 }
      const client = clusterClient(name)
      await interruptible(async (signal) => {
        const served = await ensureService(client, set, signal)
        const scaled = served.ok ? await scaleSet(client, set, count, signal) : served
        if (!scaled.ok) throw new CliError(scaled.error)
        const { created, deleted } = scaled.value
        process.stdout.write(`${setName}: ${created} pods made, ${deleted} deleted\n`)
        const settled = wait
          ? await waitForSet(client, { name: setName, replicas: count, timeoutMs: waitTimeoutMs }, signal)
          : ok([])
        if (!settled.ok) throw new CliError(settled.error)
      })
      client.close()
    })
}

function parseCount(text: string): Result<number, string> {
  const count = Number(text)
  return /^\d+$/.test(text) && count <= 1000 ? ok(count) : err('a count is a whole number up to 1000')
}
