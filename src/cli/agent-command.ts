import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { Command } from 'commander'
import { Agent } from '../agent/agent.ts'
import { type AgentPaths, parseAgentConfig } from '../agent/config.ts'
import { readInputFile } from '../agent/input-files.ts'
import { uninstallPlugin } from '../agent/installation.ts'
import { replyTableName } from '../agent/reply-table.ts'
import { systemClock } from '../base/clock.ts'
import { flushDatapath } from '../datapath/flush.ts'
import { removeTable } from '../nftables/remove-table.ts'
import type { TableName } from '../nftables/render.ts'
import { policyTables } from '../policy/closed-ipv6.ts'
import { serviceTableName } from '../proxy/rule-names.ts'
import { defaultSocketPath } from './agent-client.ts'
import { CliError } from './cli-error.ts'
import { pinoLogger } from './pino-logger.ts'
import { builtExecutable } from './project-root.ts'

const tableTimeoutMs = 30_000
const outlivingTables: readonly TableName[] = [
  { family: 'ip', name: replyTableName },
  { family: 'ip', name: serviceTableName },
  ...policyTables,
]

interface AgentFlags {
  readonly nodeName: string
  readonly stateDir: string
  readonly socket: string
  readonly cniBinDir: string
  readonly cniConfDir: string
  readonly config: string
  readonly executable: string
}

export function agentCommand(): Command {
  return new Command('agent')
    .description('run the node agent (in the node’s network namespace)')
    .option('--node-name <name>', 'name of this node, as its Node object has it', hostname())
    .option('--state-dir <dir>', 'journal, deferred DELs, last view of the NativePodNetwork', '/var/lib/vcn-cni')
    .option('--socket <path>', 'socket the executable and vcnctl connect to', defaultSocketPath)
    .option('--cni-bin-dir <dir>', 'where the container runtime looks for plugins', '/opt/cni/bin')
    .option('--cni-conf-dir <dir>', 'where the container runtime looks for configurations', '/etc/cni/net.d')
    .option('--config <file>', 'configuration (docs/configuration.md)', '/etc/vcn-cni/agent.yaml')
    .option('--executable <file>', 'the compiled plugin to install', builtExecutable)
    .action(runAgent)
}

export function uninstallCommand(): Command {
  return new Command('uninstall')
    .description('take the plugin and its configuration off this node; running pods keep their network')
    .option('--cni-bin-dir <dir>', 'where the container runtime looks for plugins', '/opt/cni/bin')
    .option('--cni-conf-dir <dir>', 'where the container runtime looks for configurations', '/etc/cni/net.d')
    .option(
      '--flush',
      'also take away rules, routes and our tables of nftables, the service proxy’s and network policy’s too: pods that still run lose their network',
      false,
    )
    .action(uninstall)
}

type UninstallFlags = Pick<AgentFlags, 'cniBinDir' | 'cniConfDir'> & { readonly flush: boolean }

async function uninstall({ cniBinDir, cniConfDir, flush }: UninstallFlags): Promise<void> {
  const logger = pinoLogger('info')
  await uninstallPlugin({ cniBinDirectory: resolve(cniBinDir), cniConfDirectory: resolve(cniConfDir) }, logger)
  if (!flush) return
  const flushed = flushDatapath()
  if (!flushed.ok) {
    throw new CliError(flushed.error.map(({ operation, error }) => `${operation}: ${error.message}`).join('; '))
  }
  logger.info('uninstall.flushed', { operations: flushed.value })
  for (const table of outlivingTables) {
    const removed = await removeTable(table, AbortSignal.timeout(tableTimeoutMs))
    // Without the library no agent has made it.
    if (!removed.ok) logger.warn('uninstall.table', { table: `${table.family} ${table.name}`, problem: removed.error })
  }
}

async function runAgent(flags: AgentFlags): Promise<void> {
  const config = readInputFile(resolve(flags.config), parseAgentConfig)
  if (!config.ok) throw new CliError(config.error)
  const logger = pinoLogger(config.value.logLevel, { node: flags.nodeName })
  // Before the start: by default SIGHUP ends a process, and SIGTERM would in the midst of adopting pods.
  const stopped = Promise.withResolvers<NodeJS.Signals>()
  process.on('SIGTERM', stopped.resolve)
  process.on('SIGINT', stopped.resolve)
  const running = Promise.withResolvers<Agent>()
  process.on('SIGHUP', () => void running.promise.then((agent) => agent.reload()))
  const started = await Agent.start({ paths: agentPaths(flags), config: config.value, clock: systemClock, logger })
  if (!started.ok) throw new CliError(started.error)
  const agent = started.value
  running.resolve(agent)
  logger.info('agent.stopping', { signal: await stopped.promise })
  await agent[Symbol.asyncDispose]()
}

function agentPaths(flags: AgentFlags): AgentPaths {
  return {
    nodeName: flags.nodeName,
    stateDirectory: resolve(flags.stateDir),
    socketPath: resolve(flags.socket),
    cniBinDirectory: resolve(flags.cniBinDir),
    cniConfDirectory: resolve(flags.cniConfDir),
    executable: resolve(flags.executable),
  }
}
