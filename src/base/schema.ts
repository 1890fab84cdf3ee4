import type * as z from 'zod'
import { err, ok, type Result } from './result.ts'

/** What is wrong with outside input: the field's path, and a sentence with the value and what would be valid. */
export interface FieldError {
  readonly field: string
  readonly problem: string
}

/** Parses outside input; every error names its field (`vnics[1].addresses[3]`), never only the first one. */
export function parseWith<T>(schema: z.ZodType<T>, raw: unknown): Result<T, readonly FieldError[]> {
  const parsed = schema.safeParse(raw, { reportInput: true })
  if (parsed.success) return ok(parsed.data)
  return err(
    parsed.error.issues.map((issue) => ({
      field: formatPath(issue.path),
      problem: describe(issue.message, issue.input),
    })),
  )
}

export function formatFieldErrors(errors: readonly FieldError[]): string {
  return errors.map(({ field, problem }) => (field === '' ? problem : `${field}: ${problem}`)).join('; ')
}

/** Turns a parser of ours into a zod refinement, keeping its sentence as the message. */
export function viaParser<I, O>(
  parse: (value: I) => Result<O, string>,
): (value: I, context: { addIssue: (issue: { code: 'custom'; message: string; input: unknown }) => void }) => O {
  return (value, context) => {
    const parsed = parse(value)
    if (parsed.ok) return parsed.value
    context.addIssue({ code: 'custom', message: parsed.error, input: value })
    // zod discards the value of a transform that has added an issue (its z.NEVER is the same trick).
    return undefined as never
  }
}

function formatPath(path: readonly PropertyKey[]): string {
  let text = ''
  for (const key of path) text += typeof key === 'number' ? `[${key}]` : text === '' ? String(key) : `.${String(key)}`
  return text
}

function describe(message: string, input: unknown): string {
  if (input === undefined) return message.includes('undefined') ? 'is required' : message
  const shown = JSON.stringify(input)
  return shown.length > 120 || message.includes(shown) ? message : `${message} (got ${shown})`
}
