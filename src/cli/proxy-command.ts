import { Command } from 'commander'
import { serviceTableName } from '../proxy/rule-names.ts'
import { tableCleanupCommand } from './table-cleanup.ts'

export function proxyCommand(): Command {
  return new Command('proxy').description('the service proxy of this node').addCommand(
    tableCleanupCommand({
      tables: [{ family: 'ip', name: serviceTableName }],
      description:
        'remove the service proxy’s rules from the network namespace this runs in; ' +
        'turn it off in agent.yaml and restart the agent first, or it makes them again',
      isServedBy: ({ services }) => services !== undefined,
      serving: 'serves Services',
      remedy:
        'turn the service proxy off in agent.yaml (kubernetes.services) and restart the agent before the clean-up',
    }),
  )
}
