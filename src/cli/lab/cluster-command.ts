import { Command } from 'commander'
import { CliError } from '../cli-error.ts'
import { pinoLogger } from '../pino-logger.ts'
import { nameOption, openLab } from './lab-options.ts'

const stopTimeoutMs = 1500

/** Started by `vcnctl lab up` in the background; not for people. */
export function clusterCommand(): Command {
  return new Command('cluster')
    .description('run the emulated cloud and Kubernetes API of a lab (for the lab only)')
    .addOption(nameOption())
    .requiredOption('--directory <dir>', 'marks the process as this lab’s')
    .action(async ({ name }: { name: string }) => {
      const { Cluster } = await import('../../lab/cluster/cluster.ts')
      const lab = openLab(name)
      if (lab.cluster === undefined) throw new CliError(`lab ${name} is no cluster`)
      const stopped = Promise.withResolvers<NodeJS.Signals>()
      process.on('SIGTERM', stopped.resolve)
      process.on('SIGINT', stopped.resolve)
      const logger = pinoLogger('info', { lab: name })
      const cluster = await Cluster.start(lab, logger)
      logger.info('lab.cluster.ready')
      logger.info('lab.cluster.stopping', { signal: await stopped.promise })
      // Pods stay as they are for the next process, or for `lab down`: whatever hangs here is not worth waiting for.
      setTimeout(() => process.exit(0), stopTimeoutMs).unref()
      await cluster[Symbol.asyncDispose]()
      process.exit(0)
    })
}
