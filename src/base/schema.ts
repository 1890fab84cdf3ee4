import { inspect } from 'node:util'
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
  return parsed.success ? ok(parsed.data) : err(parsed.error.issues.flatMap(explain))
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

function explain(issue: z.core.$ZodIssue): readonly FieldError[] {
  if (issue.code !== 'unrecognized_keys') return [{ field: formatPath(issue.path), problem: describe(issue) }]
  // zod names the object that holds them; the field at fault is the key.
  return issue.keys.map((key) => ({ field: formatPath([...issue.path, key]), problem: 'is not a known field' }))
}

function formatPath(path: readonly PropertyKey[]): string {
  let text = ''
  for (const key of path) text += typeof key === 'number' ? `[${key}]` : text === '' ? String(key) : `.${String(key)}`
  return text
}

function describe(issue: z.core.$ZodIssue): string {
  const { input } = issue
  const message = issue.code === 'invalid_union' ? describeUnion(issue) : issue.message
  if (input === undefined) return issue.code === 'custom' ? message : describeMissing(message)
  const shown = show(input)
  // Parsers of ours quote the value themselves. (A bare number may stand in a message by chance: 1 in "at least 10".)
  const isQuoted = (typeof input === 'string' || input === null) && message.includes(shown)
  return isQuoted ? message : `${message} (got ${shown})`
}

// zod's own sentence for a missing value says that undefined was received; a schema's own sentence says what is valid.
function describeMissing(message: string): string {
  if (message.includes('undefined')) return 'is required'
  return message.startsWith('is required') ? message : `is required: ${message}`
}

function describeUnion({ message, errors }: z.core.$ZodIssueInvalidUnion): string {
  if (errors.length === 0) return message
  const branches = errors.map((issues) =>
    issues.map(({ path, message: problem }) => (path.length === 0 ? problem : `${formatPath(path)}: ${problem}`)),
  )
  return branches.map((problems) => problems.join(', ')).join('; or ')
}

const shownCharacters = 120

function show(value: unknown): string {
  const text = typeof value === 'number' ? String(value) : (json(value) ?? inspect(value, { breakLength: Infinity }))
  return text.length <= shownCharacters ? text : `${text.slice(0, shownCharacters)}…`
}

// Not only JSON comes in: YAML has circular aliases, which JSON.stringify throws at.
function json(value: unknown): string | undefined {
  try {
    return JSON.stringify(value)
  } catch {
    return undefined
  }
}
