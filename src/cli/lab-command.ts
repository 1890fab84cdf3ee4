import { Command } from 'commander'
import { downCommand, listCommand, upCommand } from './lab/build-commands.ts'
import { cloudCommand, kubeCommand, nodeCommand } from './lab/cloud-command.ts'
import { clusterCommand } from './lab/cluster-command.ts'
import { execCommand } from './lab/exec-command.ts'
import { kubectlCommand } from './lab/kubectl-command.ts'
import { podCommand } from './lab/pod-commands.ts'
import { scaleCommand } from './lab/scale-command.ts'
import { sidecarCommand } from './lab/sidecar-command.ts'
import { statusCommand } from './lab/status-command.ts'

export function labCommand(): Command {
  return (
    new Command('lab')
      .description('an emulated VCN on this machine: nodes, VNICs and pods as network namespaces (docs/lab.md)')
      // For kubectl, whose own options follow its words.
      .enablePositionalOptions()
      .addCommand(upCommand())
      .addCommand(downCommand())
      .addCommand(statusCommand())
      .addCommand(execCommand())
      .addCommand(podCommand())
      .addCommand(listCommand())
      .addCommand(scaleCommand())
      .addCommand(kubectlCommand())
      .addCommand(nodeCommand())
      .addCommand(cloudCommand())
      .addCommand(kubeCommand())
      .addCommand(sidecarCommand())
      .addCommand(clusterCommand(), { hidden: true })
  )
}
