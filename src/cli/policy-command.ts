import { Command } from 'commander'
import { policyCleanupCommand } from './policy/cleanup.ts'
import { deniedCommand } from './policy/denied.ts'
import { explainCommand } from './policy/explain-command.ts'

export function policyCommand(): Command {
  return new Command('policy')
    .description('network policies')
    .addCommand(explainCommand())
    .addCommand(deniedCommand())
    .addCommand(policyCleanupCommand())
}
