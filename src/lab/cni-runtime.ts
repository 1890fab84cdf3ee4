import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import * as z from 'zod'
import { err, ok, type Result } from '../base/result.ts'
import { formatFieldErrors, parseWith } from '../base/schema.ts'
import { callPlugin, type CniFailure, type CniVerb, type Json, type PluginCall } from './cni-plugin.ts'
import { entries } from './lab-store.ts'
import type { NodePaths } from './names.ts'

// A container runtime's side of CNI, as libcni has it: chains, capabilities, cached results. It knows nothing of the
// plugins it executes.

export interface RuntimeNode {
  readonly netns: string
  readonly paths: Pick<NodePaths, 'cniBin' | 'cniConf' | 'results'>
}

export interface Attachment {
  readonly containerId: string
  /** Path of the pod's namespace. */
  readonly netns: string
  readonly ifname: string
  readonly args: string
  /** Values for the capabilities that plugins may declare, such as `portMappings`. */
  readonly capabilityArgs: Json
}

export interface NetworkList {
  readonly cniVersion: string
  readonly name: string
  readonly disableCheck: boolean
  readonly plugins: readonly NetworkPlugin[]
}

export type NetworkPlugin = Json & {
  readonly type: string
  readonly capabilities?: Readonly<Record<string, boolean>> | undefined
}

const listSchema: z.ZodType<NetworkList> = z.object({
  cniVersion: z.string(),
  name: z.string(),
  disableCheck: z.boolean().default(false),
  plugins: z
    .array(z.looseObject({ type: z.string(), capabilities: z.record(z.string(), z.boolean()).optional() }))
    .min(1),
})

const cachedSchema = z.object({ list: listSchema, result: z.record(z.string(), z.unknown()).optional() })
type Cached = z.infer<typeof cachedSchema>

/** The configuration a runtime would take: the first by name. */
export function readNetworkList(confDirectory: string): Result<NetworkList, string> {
  const file = entries(confDirectory).find((entry) => entry.endsWith('.conflist'))
  if (file === undefined) return err(`${confDirectory} has no network configuration (*.conflist)`)
  try {
    const parsed = parseWith(listSchema, JSON.parse(readFileSync(`${confDirectory}/${file}`, 'utf8')))
    return parsed.ok ? parsed : err(`${file}: ${formatFieldErrors(parsed.error)}`)
  } catch (error) {
    return err(`${file}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** ADD through the whole chain. When a plugin fails, the chain is taken back with DEL, as runtimes do. */
export async function addAttachment(
  node: RuntimeNode,
  attachment: Attachment,
  signal: AbortSignal,
): Promise<Result<Json, CniFailure>> {
  const list = readNetworkList(node.paths.cniConf)
  if (!list.ok) return err({ plugin: 'runtime', verb: 'ADD', code: 7, message: list.error })
  remember(node, attachment, { list: list.value })
  let prevResult: Json | undefined
  for (const plugin of list.value.plugins) {
    const added = await execute('ADD', node, attachment, list.value, plugin, prevResult, signal)
    if (!added.ok) {
      await deleteAttachment(node, attachment, signal)
      return added
    }
    prevResult = added.value
  }
  remember(node, attachment, { list: list.value, result: prevResult })
  return ok(prevResult ?? {})
}

/** DEL in reverse order, with the list and the result of the ADD. A failure stops it: the caller tries again. */
export async function deleteAttachment(
  node: RuntimeNode,
  attachment: Attachment,
  signal: AbortSignal,
): Promise<Result<void, CniFailure>> {
  const { list, result } = recall(node, attachment)
  for (const plugin of list?.plugins.toReversed() ?? []) {
    const deleted = await execute('DEL', node, attachment, list as NetworkList, plugin, result, signal)
    if (!deleted.ok) return deleted
  }
  rmSync(cacheFile(node, attachment), { force: true })
  return ok(undefined)
}

/** CHECK of every plugin, in order, unless the list says that there is to be none. */
export async function checkAttachment(
  node: RuntimeNode,
  attachment: Attachment,
  signal: AbortSignal,
): Promise<Result<void, CniFailure>> {
  const { list, result } = recall(node, attachment)
  if (list === undefined) return err({ plugin: 'runtime', verb: 'CHECK', code: 3, message: 'nothing was added' })
  if (list.disableCheck) return ok(undefined)
  for (const plugin of list.plugins) {
    const checked = await execute('CHECK', node, attachment, list, plugin, result, signal)
    if (!checked.ok) return checked
  }
  return ok(undefined)
}

async function execute(
  verb: CniVerb,
  node: RuntimeNode,
  attachment: Attachment,
  list: NetworkList,
  plugin: NetworkPlugin,
  prevResult: Json | undefined,
  signal: AbortSignal,
): Promise<Result<Json | undefined, CniFailure>> {
  const { containerId, netns, ifname, args } = attachment
  const config = pluginConfig(list, plugin, attachment.capabilityArgs, prevResult)
  const binDirectory = node.paths.cniBin
  const call: PluginCall = { verb, plugin: plugin.type, binDirectory, containerId, netns, ifname, args, config }
  return callPlugin(call, node.netns, signal)
}

/** SPEC.md section 4, "Deriving plugin configuration": only declared capabilities reach the plugin. */
export function pluginConfig(
  list: NetworkList,
  plugin: NetworkPlugin,
  capabilityArgs: Json,
  prevResult: Json | undefined,
): Json {
  const { capabilities = {}, ...own } = plugin
  const declared = Object.entries(capabilityArgs).filter(([capability]) => capabilities[capability] === true)
  return {
    ...own,
    name: list.name,
    cniVersion: list.cniVersion,
    ...(declared.length > 0 && { runtimeConfig: Object.fromEntries(declared) }),
    ...(prevResult !== undefined && { prevResult }),
  }
}

function remember(node: RuntimeNode, attachment: Attachment, cached: Cached): void {
  mkdirSync(node.paths.results, { recursive: true })
  writeFileSync(cacheFile(node, attachment), JSON.stringify(cached))
}

// Without a readable cache there is still a DEL to be made, with the configuration of today (reference/cni.md, trap 4).
function recall(node: RuntimeNode, attachment: Attachment): Partial<Cached> {
  try {
    const cached = parseWith(cachedSchema, JSON.parse(readFileSync(cacheFile(node, attachment), 'utf8')))
    if (cached.ok) return cached.value
  } catch {
    // as unreadable as a file of the wrong form
  }
  const list = readNetworkList(node.paths.cniConf)
  return list.ok ? { list: list.value } : {}
}

function cacheFile(node: RuntimeNode, { containerId, ifname }: Attachment): string {
  return `${node.paths.results}/${containerId}-${ifname}.json`
}
