import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Execution, type ExecutionOutcome, runExecBatch } from './exec-batch.ts'

/** A plugin on a node of its own, as the container runtime there is configured to call it. */
export interface CniPlugin {
  readonly name: string
  readonly program: string
  /** CNI_PATH */
  readonly pluginPath: string
  readonly nodeNetnsPath: string
  /** What the runtime gives on standard input, but for prevResult. */
  readonly netconf: Readonly<Record<string, unknown>>
  /** Where inputs and answers are put. */
  readonly directory: string
}

/** A container to be attached. */
export interface Sandbox {
  readonly containerId: string
  readonly netnsPath: string
}

export interface PluginCalls {
  readonly plugin: CniPlugin
  readonly timer: string
  readonly concurrency: number
  readonly sandboxes: readonly Sandbox[]
}

/** Attaches every sandbox. Returns how long each execution took; throws when one failed or gave no address. */
export async function timeAdds(calls: PluginCalls, signal: AbortSignal): Promise<readonly number[]> {
  const { plugin, sandboxes } = calls
  const stdinPath = join(plugin.directory, 'add.json')
  writeFileSync(stdinPath, JSON.stringify(plugin.netconf))
  const elapsedMs = await timeCalls('ADD', calls, () => stdinPath, signal)
  const addresses = new Set(sandboxes.map((sandbox) => addressOf(plugin, sandbox)))
  if (addresses.size !== sandboxes.length) {
    throw new Error(`${plugin.name} gave ${addresses.size} addresses to ${sandboxes.length} containers`)
  }
  return elapsedMs
}

/** The same for a plugin behind another one of the chain, whose answers it is given as `prevResult`. */
export async function timeChainedAdds(
  calls: PluginCalls,
  before: CniPlugin,
  signal: AbortSignal,
): Promise<readonly number[]> {
  return await timeCalls('ADD', calls, (sandbox) => inputWithResult(calls.plugin, 'add', before, sandbox), signal)
}

/** Detaches every sandbox, with the ADD's result as the runtime remembers it (CNI specification 1.0.0, "DEL"). */
export async function timeDels(calls: PluginCalls, signal: AbortSignal): Promise<readonly number[]> {
  const { plugin } = calls
  return await timeCalls('DEL', calls, (sandbox) => inputWithResult(plugin, 'del', plugin, sandbox), signal)
}

/** A file with what the runtime gives to `plugin`, and the answer of `giver` to the ADD. */
function inputWithResult(plugin: CniPlugin, command: 'add' | 'del', giver: CniPlugin, sandbox: Sandbox): string {
  const path = join(plugin.directory, `${sandbox.containerId}.${command}.json`)
  const prevResult: unknown = JSON.parse(readFileSync(answerPath(giver, 'ADD', sandbox), 'utf8'))
  writeFileSync(path, JSON.stringify({ ...plugin.netconf, prevResult }))
  return path
}

/** What the sandbox's ADD gave it, without the prefix length. */
export function addressOf(plugin: CniPlugin, sandbox: Sandbox): string {
  const path = answerPath(plugin, 'ADD', sandbox)
  const result = JSON.parse(readFileSync(path, 'utf8')) as { readonly ips?: readonly { readonly address: string }[] }
  const [address = ''] = result.ips?.[0]?.address.split('/') ?? []
  if (address === '') throw new Error(`${plugin.name} gave ${sandbox.containerId} no address`)
  return address
}

async function timeCalls(
  command: 'ADD' | 'DEL',
  { plugin, timer, concurrency, sandboxes }: PluginCalls,
  inputOf: (sandbox: Sandbox) => string,
  signal: AbortSignal,
): Promise<readonly number[]> {
  const executions = sandboxes.map((sandbox): Execution => ({
    stdinPath: inputOf(sandbox),
    stdoutPath: answerPath(plugin, command, sandbox),
    env: environment(command, plugin, sandbox),
  }))
  const { program, nodeNetnsPath: netnsPath } = plugin
  const outcomes = await runExecBatch({ timer, program, netnsPath, concurrency, executions }, signal)
  outcomes.forEach((outcome, index) => requireSuccess(`${plugin.name} ${command}`, outcome, executions[index]))
  return outcomes.map(({ elapsedMs }) => elapsedMs)
}

function environment(command: string, plugin: CniPlugin, sandbox: Sandbox): Readonly<Record<string, string>> {
  const { containerId, netnsPath } = sandbox
  return {
    PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
    CNI_COMMAND: command,
    CNI_CONTAINERID: containerId,
    CNI_NETNS: netnsPath,
    CNI_IFNAME: 'eth0',
    CNI_PATH: plugin.pluginPath,
    CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${containerId}`,
  }
}

function requireSuccess(what: string, { exitCode }: ExecutionOutcome, execution: Execution | undefined): void {
  if (exitCode === 0) return
  const printed = execution === undefined ? '' : readFileSync(execution.stdoutPath, 'utf8')
  throw new Error(`${what} ended with exit code ${exitCode}: ${printed}`)
}

function answerPath(plugin: CniPlugin, command: string, { containerId }: Sandbox): string {
  return join(plugin.directory, `${containerId}.${command}.out`)
}
