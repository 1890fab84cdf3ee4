import * as z from 'zod'
import { err, ok, type Result } from '../base/result.ts'
import { parseWith } from '../base/schema.ts'
import { captureInNetns } from './netns-process.ts'

/** Why a plugin did not do what it was asked: its own words where it had any (SPEC.md, section 5). */
export interface CniFailure {
  readonly plugin: string
  readonly verb: CniVerb
  readonly code: number
  readonly message: string
  readonly details?: string | undefined
}

export type CniVerb = 'ADD' | 'DEL' | 'CHECK'
export type Json = Readonly<Record<string, unknown>>

export interface PluginCall {
  readonly verb: CniVerb
  readonly plugin: string
  readonly binDirectory: string
  readonly containerId: string
  /** Path of the pod's namespace. */
  readonly netns: string
  readonly ifname: string
  /** CNI_ARGS. */
  readonly args: string
  readonly config: Json
}

const errorSchema = z.object({ code: z.int(), msg: z.string(), details: z.string().optional() })
const objectSchema = z.record(z.string(), z.unknown())

/** Executes a plugin in the node's namespace (SPEC.md, section 2); the result is what it printed, nothing for DEL. */
export async function callPlugin(
  call: PluginCall,
  nodeNetns: string,
  signal: AbortSignal,
): Promise<Result<Json | undefined, CniFailure>> {
  const env = {
    PATH: process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin',
    CNI_COMMAND: call.verb,
    CNI_CONTAINERID: call.containerId,
    CNI_NETNS: call.netns,
    CNI_IFNAME: call.ifname,
    CNI_ARGS: call.args,
    CNI_PATH: call.binDirectory,
  }
  const command = [`${call.binDirectory}/${call.plugin}`]
  const output = await captureInNetns(nodeNetns, command, { stdin: JSON.stringify(call.config), env, signal })
  const fail = (code: number, message: string, details?: string): Result<never, CniFailure> =>
    err({ plugin: call.plugin, verb: call.verb, code, message, details })
  const printed = parseJsonObject(output.stdout)
  if (output.exitCode !== 0) {
    const error = parseWith(errorSchema, printed)
    if (error.ok) return fail(error.value.code, error.value.msg, error.value.details)
    const words = [output.stderr, output.stdout].map((text) => text.trim()).find((text) => text !== '')
    return fail(999, `exit code ${output.exitCode} without a CNI error`, words)
  }
  if (call.verb !== 'ADD') return ok(undefined)
  if (printed === undefined) return fail(6, 'the result is not a JSON object', output.stdout)
  return ok(printed)
}

export function describeCniFailure({ plugin, verb, code, message, details }: CniFailure): string {
  return `${plugin} ${verb}: ${message}${details === undefined || details === '' ? '' : ` (${details})`} [code ${code}]`
}

function parseJsonObject(text: string): Json | undefined {
  try {
    const parsed = parseWith(objectSchema, JSON.parse(text))
    return parsed.ok ? parsed.value : undefined
  } catch {
    return undefined
  }
}
