import * as z from 'zod'
import type { LenientReader } from './lenient-reader.ts'

/** A meta/v1 LabelSelector in one form however it was written: what means the same word by word has the same `text`. */
export interface LabelSelector {
  /** `app in (web),tier notin (db)`; empty for the selector that every object matches. */
  readonly text: string
  /** All of them must hold. */
  readonly requirements: readonly Requirement[]
}

export type Requirement =
  | { readonly key: string; readonly operator: 'In' | 'NotIn'; readonly values: ReadonlySet<string> }
  | { readonly key: string; readonly operator: 'Exists' | 'DoesNotExist' }

/** A selector, and whether it says all that was written: it is wider than meant when a requirement could not be read. */
export interface ReadSelector {
  readonly selector: LabelSelector
  readonly isComplete: boolean
}

/** A Map: label keys such as `constructor` are legal, and every object has one of those. */
export type Labels = ReadonlyMap<string, string>

export const everySelector: LabelSelector = { text: '', requirements: [] }

const operators = ['In', 'NotIn', 'Exists', 'DoesNotExist'] as const
const shape = z.strictObject({ matchLabels: z.unknown().optional(), matchExpressions: z.unknown().optional() })
const pairs = z.record(z.string(), z.unknown(), 'must be a map of labels')
const text: z.ZodType<string> = z.string('must be text')
const expression = z.strictObject({
  key: z.string('must be the key of a label').min(1, 'must be the key of a label'),
  operator: z.enum(operators, `must be ${operators.join(', ')}`),
  values: z
    .array(z.string('must be text'), 'must be a list of values')
    .nullish()
    .transform((list) => list ?? []),
})

export function readLabelSelector(reader: LenientReader, raw: unknown, field: string): ReadSelector {
  const problemsBefore = reader.problems.length
  const { matchLabels, matchExpressions } = reader.read<z.infer<typeof shape>>(shape, raw, field, {})
  const requirements = [
    ...readPairs(reader, matchLabels, `${field}.matchLabels`),
    ...reader.readEachWith(matchExpressions, `${field}.matchExpressions`, (element, name) =>
      readExpression(reader, element, name),
    ),
  ]
  return { selector: selectorOf(requirements), isComplete: reader.problems.length === problemsBefore }
}

export function selectorOf(requirements: readonly Requirement[]): LabelSelector {
  const byText = new Map(requirements.map((requirement) => [textOf(requirement), requirement]))
  const sorted = [...byText].sort(([a], [b]) => (a < b ? -1 : 1))
  return { text: sorted.map(([part]) => part).join(','), requirements: sorted.map(([, requirement]) => requirement) }
}

/** As apimachinery's labels.Selector: NotIn also holds where there is no such label. */
export function selectorMatches({ requirements }: LabelSelector, labels: Labels): boolean {
  return requirements.every((requirement) => {
    const value = labels.get(requirement.key)
    switch (requirement.operator) {
      case 'In':
        return value !== undefined && requirement.values.has(value)
      case 'NotIn':
        return value === undefined || !requirement.values.has(value)
      case 'Exists':
        return value !== undefined
      case 'DoesNotExist':
        return value === undefined
    }
  })
}

export function labelsOf(labels: Readonly<Record<string, string>>): Labels {
  return new Map(Object.entries(labels))
}

function readPairs(reader: LenientReader, raw: unknown, field: string): readonly Requirement[] {
  const entries = Object.entries(reader.read<Readonly<Record<string, unknown>>>(pairs, raw ?? {}, field, {}))
  return entries.flatMap(([key, label]): Requirement[] => {
    const value = reader.read<string | undefined>(text, label, `${field}[${JSON.stringify(key)}]`, undefined)
    return value === undefined ? [] : [{ key, operator: 'In', values: new Set([value]) }]
  })
}

function readExpression(reader: LenientReader, raw: unknown, field: string): Requirement | undefined {
  const read = reader.read<z.infer<typeof expression> | undefined>(expression, raw, field, undefined)
  if (read === undefined) return undefined
  const { key, operator, values } = read
  if (operator === 'In' || operator === 'NotIn') {
    if (values.length > 0) return { key, operator, values: new Set(values) }
    reader.report(`${field}.values`, `must have at least one value for the operator ${operator}`)
    return undefined
  }
  if (values.length === 0) return { key, operator }
  reader.report(`${field}.values`, `must be empty for the operator ${operator} (got ${values.length} values)`)
  return undefined
}

function textOf(requirement: Requirement): string {
  const key = plain(requirement.key)
  if (!('values' in requirement)) return `${key} ${requirement.operator === 'Exists' ? 'exists' : 'absent'}`
  const values = [...requirement.values].sort().map(plain).join(',')
  return `${key} ${requirement.operator === 'In' ? 'in' : 'notin'} (${values})`
}

// What is not a label to Kubernetes may still arrive here; it must not read like another selector.
function plain(word: string): string {
  return /^[A-Za-z0-9_./-]+$/.test(word) ? word : JSON.stringify(word)
}
