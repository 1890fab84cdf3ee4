import { Command } from 'commander'
import { agentCommand, uninstallCommand } from './agent-command.ts'
import { CliError } from './cli-error.ts'
import { statusCommand } from './status-command.ts'

const program = new Command('vcnctl')
  .description('VCN-native pod networking for Kubernetes on OCI')
  .addCommand(agentCommand())
  .addCommand(statusCommand())
  .addCommand(uninstallCommand())

// The rest is loaded only when it is not the agent: it should not carry Oracle's SDK and the lab in memory.
const [first] = process.argv.slice(2)
if (first !== 'agent') {
  const [{ labCommand }, { demoCommand }, { controllerCommand }, { proxyCommand }, { policyCommand }, { meshCommand }] =
    await Promise.all([
      import('./lab-command.ts'),
      import('./demo-command.ts'),
      import('./controller-command.ts'),
      import('./proxy-command.ts'),
      import('./policy-command.ts'),
      import('./mesh-command.ts'),
    ])
  const commands = [controllerCommand(), labCommand(), demoCommand(), proxyCommand(), policyCommand(), meshCommand()]
  for (const command of commands) program.addCommand(command)
}

try {
  await program.parseAsync()
} catch (error) {
  if (!(error instanceof CliError)) throw error
  process.stderr.write(`vcnctl: ${error.message}\n`)
  process.exitCode = 1
}
