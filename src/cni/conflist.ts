import { isDeepStrictEqual } from 'node:util'
import * as z from 'zod'
import { err, ok, type Result } from '../base/result.ts'
import { formatFieldErrors, parseWith } from '../base/schema.ts'
import type { JsonObject } from './netconf.ts'
import type { SpecVersion } from './versions.ts'

/** A network configuration list (SPEC.md, section 1), with whatever else others have put into it. */
export interface Conflist {
  readonly plugins: readonly PluginEntry[]
  readonly [field: string]: unknown
}

export interface PluginEntry {
  readonly type: string
  readonly [field: string]: unknown
}

/** What to do with the file so that it holds our entries. */
export type InstallPlan =
  | { readonly kind: 'keep' }
  | { readonly kind: 'write'; readonly text: string }
  /** The file is of no use to any runtime: it is kept aside and made anew. */
  | { readonly kind: 'replace'; readonly text: string; readonly problem: string }

/** What to do with the file so that it no longer holds our entries. */
export type RemovalPlan =
  | { readonly kind: 'keep' }
  | { readonly kind: 'write'; readonly text: string }
  | { readonly kind: 'delete' }
  /** Left as it is: whose entries it held cannot be told, and no runtime can use it. */
  | { readonly kind: 'unreadable'; readonly problem: string }

/** Runtimes take the first file by name; the number leaves room on both sides. */
export const conflistFileName = '10-vcn-cni.conflist'

// Debian's reference plugins (1.1.1) refuse a configuration of 1.1.0.
const conflistVersion: SpecVersion = '1.0.0'

/** Types that no installer but ours writes. portmap is not among them: it may have been there before us. */
const ownTypes: ReadonlySet<string> = new Set(['vcn-cni', 'vcn-mesh'])

const conflistSchema: z.ZodType<Conflist> = z.looseObject({
  plugins: z.array(z.looseObject({ type: z.string() })),
})

/** Static on purpose: whatever an operator may change lives in the agent's own configuration. */
export function ourConflist({ portmap, mesh }: { readonly portmap: boolean; readonly mesh: boolean }): Conflist {
  const portmapEntry = { type: 'portmap', capabilities: { portMappings: true }, snat: true }
  return {
    cniVersion: conflistVersion,
    name: 'vcn-cni',
    plugins: [{ type: 'vcn-cni' }, ...(mesh ? [{ type: 'vcn-mesh' }] : []), ...(portmap ? [portmapEntry] : [])],
  }
}

export function parseConflist(text: string): Result<Conflist, string> {
  let raw: unknown
  try {
    raw = JSON.parse(text)
  } catch (cause) {
    return err(`not valid JSON: ${cause instanceof Error ? cause.message : String(cause)}`)
  }
  const parsed = parseWith(conflistSchema, raw)
  // Not zod's copy, which would put `plugins` before all other fields when the file is written again.
  return parsed.ok ? ok(raw as Conflist) : err(formatFieldErrors(parsed.error))
}

export function renderConflist(conflist: Conflist): string {
  return `${JSON.stringify(conflist, null, 2)}\n`
}

/**
 * `existing` with our values set in it, and without entries of ours that are wanted no more. What others added stays: entries and their order, fields of the list, and fields
 * of our own entries, because an installer that finds its change undone makes it again, without end.
 */
export function mergeConflist(existing: Conflist | undefined, ours: Conflist): Conflist {
  if (existing === undefined) return ours
  return { ...overlay(existing, ours), plugins: mergePlugins(existing.plugins, ours.plugins) }
}

/** Compared by meaning: neither the order of keys nor 1500.0 in place of 1500 is a reason to write. */
export function planInstall(text: string | undefined, ours: Conflist): InstallPlan {
  if (text === undefined) return { kind: 'write', text: renderConflist(ours) }
  const existing = parseConflist(text)
  if (!existing.ok) return { kind: 'replace', text: renderConflist(ours), problem: existing.error }
  const merged = mergeConflist(existing.value, ours)
  return isDeepStrictEqual(merged, existing.value) ? { kind: 'keep' } : { kind: 'write', text: renderConflist(merged) }
}

export function planRemoval(text: string | undefined): RemovalPlan {
  if (text === undefined) return { kind: 'keep' }
  const existing = parseConflist(text)
  if (!existing.ok) return { kind: 'unreadable', problem: existing.error }
  const plugins = existing.value.plugins.filter((entry) => !ownTypes.has(entry.type))
  if (plugins.every((entry) => entry.type === 'portmap')) return { kind: 'delete' }
  if (plugins.length === existing.value.plugins.length) return { kind: 'keep' }
  return { kind: 'write', text: renderConflist({ ...existing.value, plugins }) }
}

/** Ours take the places of the entries of the same type; one that is missing goes right behind the one before it. */
function mergePlugins(existing: readonly PluginEntry[], ours: readonly PluginEntry[]): readonly PluginEntry[] {
  const ourByType = new Map(ours.map((entry) => [entry.type, entry]))
  const merged: PluginEntry[] = []
  for (const entry of existing) {
    const own = ourByType.get(entry.type)
    if (own === undefined) {
      if (!ownTypes.has(entry.type)) merged.push(entry)
    } else if (!merged.some(({ type }) => type === entry.type)) merged.push({ ...overlay(entry, own), type: own.type })
  }
  let position = 0
  for (const own of ours) {
    const found = merged.findIndex(({ type }) => type === own.type)
    if (found < 0) merged.splice(position, 0, own)
    position = (found < 0 ? position : found) + 1
  }
  return merged
}

function overlay(existing: JsonObject, ours: JsonObject): JsonObject {
  const merged: Record<string, unknown> = { ...existing }
  for (const [key, value] of Object.entries(ours)) {
    const before = merged[key]
    merged[key] = isObject(before) && isObject(value) ? overlay(before, value) : value
  }
  return merged
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
