import type { Command } from 'commander'
import { policyTables } from '../../policy/closed-ipv6.ts'
import { tableCleanupCommand } from '../table-cleanup.ts'

export function policyCleanupCommand(): Command {
  return tableCleanupCommand({
    tables: policyTables,
    description:
      'remove network policy’s rules from the network namespace this runs in: every pod there is open then; ' +
      'set policy to calico or off in agent.yaml and restart the agent first, or it makes them again',
    isServedBy: ({ policy }) => policy !== undefined,
    serving: 'enforces network policy',
    remedy: 'set kubernetes.policy to calico or off in agent.yaml and restart the agent before the clean-up',
  })
}
