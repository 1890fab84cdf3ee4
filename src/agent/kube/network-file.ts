import { readFileSync } from 'node:fs'
import { mkdir, open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import * as z from 'zod'
import { err, ok, type Result } from '../../base/result.ts'
import { type FieldError, formatFieldErrors, parseWith } from '../../base/schema.ts'
import { npnStatusToWire, parseNpnStatus } from '../../kube/native-pod-network-status.ts'
import type { NetworkView } from './network-view.ts'

/** In the state directory: what the agent works by while the API server is away. */
export const networkFileName = 'native-pod-network.json'

/** Raised when a field changes its meaning or goes away. */
const fileVersion = 1

const fileSchema = z.object({
  version: z.literal(fileVersion, `must be ${fileVersion}`),
  name: z.string('must be the name of the NativePodNetwork').min(1, 'must not be empty'),
  status: z.unknown(),
})

/** On the disk when it resolves. Throws what the file system refuses; the file then holds the view before. */
export async function writeNetworkFile(path: string, view: NetworkView): Promise<void> {
  const { name, vnics, releases } = view
  const status = npnStatusToWire({ vnics, conditions: [], elastic: { releases } })
  const directory = dirname(path)
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const staged = `${path}.tmp`
  {
    await using file = await open(staged, 'w', 0o600)
    await file.writeFile(`${JSON.stringify({ version: fileVersion, name, status }, null, 2)}\n`)
    await file.sync()
  }
  await rename(staged, path)
  // The name's change is the directory's, and lost in a power failure until that is synced too (fsync(2)).
  await using entries = await open(directory, 'r')
  await entries.sync()
}

/** Undefined: there is none. */
export function readNetworkFile(path: string): Result<NetworkView | undefined, string> {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return ok(undefined)
    return err(error instanceof Error ? error.message : String(error))
  }
  const parsed = parseFile(text)
  return parsed.ok ? parsed : err(`${path}: ${parsed.error}`)
}

function parseFile(text: string): Result<NetworkView, string> {
  const raw = parseJson(text)
  if (!raw.ok) return raw
  const file = parseWith(fileSchema, raw.value)
  if (!file.ok) return err(formatFieldErrors(file.error))
  const status = parseNpnStatus(file.value.status)
  if (!status.ok) return err(formatFieldErrors(status.error.map(inStatus)))
  return ok({ name: file.value.name, vnics: status.value.vnics, releases: status.value.elastic?.releases ?? [] })
}

function parseJson(text: string): Result<unknown, string> {
  try {
    const raw: unknown = JSON.parse(text)
    return ok(raw)
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error))
  }
}

function inStatus({ field, problem }: FieldError): FieldError {
  return { field: `status.${field}`, problem }
}
