import { Command } from 'commander'
import { meshCheckCommand } from './mesh/check-command.ts'

export function meshCommand(): Command {
  return new Command('mesh').description('service meshes').addCommand(meshCheckCommand())
}
