import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import { err, ok, type Result } from '../base/result.ts'
import { type FieldError, formatFieldErrors } from '../base/schema.ts'

/** Reads a YAML (or JSON) file and parses it; the error names the file and every field that is wrong. */
export function readInputFile<T>(
  path: string,
  parseContent: (raw: unknown) => Result<T, readonly FieldError[]>,
): Result<T, string> {
  const raw = readYaml(path)
  if (!raw.ok) return raw
  const parsed = parseContent(raw.value)
  return parsed.ok ? parsed : err(`${path}: ${formatFieldErrors(parsed.error)}`)
}

function readYaml(path: string): Result<unknown, string> {
  try {
    const raw: unknown = parse(readFileSync(path, 'utf8'))
    return ok(raw)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      return err(
        `${path} does not exist: write it (docs/configuration.md has every field), or name another file by its flag`,
      )
    }
    return err(`${path}: ${error instanceof Error ? error.message : String(error)}`)
  }
}
