import { spawn } from 'node:child_process'
import { Command } from 'commander'
import { clusterPaths } from '../../lab/cluster-paths.ts'
import { CliError } from '../cli-error.ts'
import { exitCodeOfChild } from './exec-command.ts'
import { nameOption, openCluster } from './lab-options.ts'

export function kubectlCommand(): Command {
  return new Command('kubectl')
    .description('run this machine’s kubectl with the kubeconfig of a lab that is a cluster')
    .usage('[--name LAB] ARGS…')
    .addOption(nameOption())
    .argument('[args...]', 'for kubectl')
    .allowUnknownOption()
    .passThroughOptions()
    .action(async (args: readonly string[], { name }: { name: string }) => {
      openCluster(name)
      const child = spawn('kubectl', ['--kubeconfig', clusterPaths(name).kubeconfig, ...args], { stdio: 'inherit' })
      try {
        process.exitCode = await exitCodeOfChild(child)
      } catch (error) {
        throw new CliError(`kubectl cannot be run: ${error instanceof Error ? error.message : String(error)}`)
      }
    })
}
