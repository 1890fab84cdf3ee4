import { Command } from 'commander'
import { agentCommand, uninstallCommand } from './agent-command.ts'
import { CliError } from './cli-error.ts'
import { statusCommand } from './status-command.ts'

const program = new Command('vcnctl')
  .description('VCN-native pod networking for Kubernetes on OCI')
  .addCommand(agentCommand())
  .addCommand(statusCommand())
  .addCommand(uninstallCommand())

// The lab and the demo are loaded only when asked for: an agent should not carry them in memory.
const [first] = process.argv.slice(2)
if (first !== 'agent') {
  const [{ labCommand }, { demoCommand }] = await Promise.all([import('./lab-command.ts'), import('./demo-command.ts')])
  program.addCommand(labCommand()).addCommand(demoCommand())
}

try {
  await program.parseAsync()
} catch (error) {
  if (!(error instanceof CliError)) throw error
  process.stderr.write(`vcnctl: ${error.message}\n`)
  process.exitCode = 1
}
