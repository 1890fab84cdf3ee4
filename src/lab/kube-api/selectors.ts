import { err, ok, type Result } from '../../base/result.ts'

export interface LabelRequirement {
  readonly key: string
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist' | 'Gt' | 'Lt'
  readonly values: readonly string[]
}

export interface FieldRequirement {
  readonly field: string
  readonly equal: boolean
  readonly value: string
}

const key = String.raw`[A-Za-z0-9](?:[A-Za-z0-9._/-]*[A-Za-z0-9])?`
const value = String.raw`(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)?`
const setBased = new RegExp(String.raw`^(${key})\s+(in|notin)\s*\(([^()]*)\)$`)
const equality = new RegExp(String.raw`^(${key})\s*(==|!=|=|>|<)\s*(${value})$`)
const existence = new RegExp(`^(!?)\\s*(${key})$`)
const wellFormedValue = new RegExp(`^${value}$`)

/** The grammar of `labelSelector` (k8s.io/apimachinery/pkg/labels, Parse). Empty text selects everything. */
export function parseLabelSelector(text: string): Result<readonly LabelRequirement[], string> {
  const requirements: LabelRequirement[] = []
  for (const term of splitTerms(text)) {
    const requirement = parseLabelTerm(term)
    if (requirement === undefined) return err(`unable to parse requirement: ${JSON.stringify(term)}`)
    requirements.push(requirement)
  }
  return ok(requirements)
}

function parseLabelTerm(term: string): LabelRequirement | undefined {
  const set = setBased.exec(term)
  if (set?.[1] !== undefined) {
    const values = (set[3] ?? '').split(',').map((part) => part.trim())
    if (!values.every((part) => wellFormedValue.test(part))) return undefined
    return { key: set[1], operator: set[2] === 'in' ? 'In' : 'NotIn', values }
  }
  const equal = equality.exec(term)
  if (equal?.[1] !== undefined) return equalityRequirement(equal[1], equal[2] ?? '=', equal[3] ?? '')
  const exists = existence.exec(term)
  if (exists?.[2] === undefined) return undefined
  return { key: exists[2], operator: exists[1] === '!' ? 'DoesNotExist' : 'Exists', values: [] }
}

function equalityRequirement(name: string, operator: string, text: string): LabelRequirement | undefined {
  if (operator === '>' || operator === '<') {
    const isNumber = /^\d+$/.test(text)
    return isNumber ? { key: name, operator: operator === '>' ? 'Gt' : 'Lt', values: [text] } : undefined
  }
  return { key: name, operator: operator === '!=' ? 'NotIn' : 'In', values: [text] }
}

/** Commas separate terms, except inside the parentheses of a set. */
function splitTerms(text: string): readonly string[] {
  if (text.trim() === '') return []
  return text.split(/,(?![^()]*\))/).map((term) => term.trim())
}

export function matchesLabels(
  requirements: readonly LabelRequirement[],
  labels: Readonly<Record<string, string>>,
): boolean {
  return requirements.every(({ key: name, operator, values }) => {
    const found = Object.hasOwn(labels, name) ? labels[name] : undefined
    return labelTests[operator](found, values)
  })
}

type LabelTest = (found: string | undefined, values: readonly string[]) => boolean
// An absent label satisfies NotIn and nothing else but DoesNotExist.
const labelTests: Readonly<Record<LabelRequirement['operator'], LabelTest>> = {
  In: (found, values) => found !== undefined && values.includes(found),
  NotIn: (found, values) => found === undefined || !values.includes(found),
  Exists: (found) => found !== undefined,
  DoesNotExist: (found) => found === undefined,
  Gt: (found, values) => found !== undefined && /^\d+$/.test(found) && Number(found) > Number(values[0]),
  Lt: (found, values) => found !== undefined && /^\d+$/.test(found) && Number(found) < Number(values[0]),
}

/** The grammar of `fieldSelector` (k8s.io/apimachinery/pkg/fields): `a=b`, `a==b`, `a!=b`; `\` escapes `,`, `=`, `\`. */
export function parseFieldSelector(text: string): Result<readonly FieldRequirement[], string> {
  const requirements: FieldRequirement[] = []
  for (const term of text.split(/(?<!\\),/).filter((part) => part !== '')) {
    const parts = /^(.*?)(!=|==|=)(.*)$/.exec(term)
    if (parts?.[1] === undefined) return err(`invalid selector: '${text}'; can't understand '${term}'`)
    const unescaped = (parts[3] ?? '').replaceAll(/\\([\\,=])/g, '$1')
    requirements.push({ field: parts[1], equal: parts[2] !== '!=', value: unescaped })
  }
  return ok(requirements)
}

/** `read` gives a field's text, '' where the object has none: so an empty value selects objects without one. */
export function matchesFields(requirements: readonly FieldRequirement[], read: (field: string) => string): boolean {
  return requirements.every(({ field, equal, value: wanted }) => (read(field) === wanted) === equal)
}
