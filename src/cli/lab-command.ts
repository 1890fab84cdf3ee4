import { Command } from 'commander'
import { downCommand, listCommand, upCommand } from './lab/build-commands.ts'
import { execCommand } from './lab/exec-command.ts'
import { podCommand } from './lab/pod-commands.ts'
import { statusCommand } from './lab/status-command.ts'

export function labCommand(): Command {
  return new Command('lab')
    .description('an emulated VCN on this machine: nodes, VNICs and pods as network namespaces (docs/lab.md)')
    .addCommand(upCommand())
    .addCommand(downCommand())
    .addCommand(statusCommand())
    .addCommand(execCommand())
    .addCommand(podCommand())
    .addCommand(listCommand())
}
