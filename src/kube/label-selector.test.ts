import { describe, expect, test } from 'vitest'
import { type Labels, labelsOf, type ReadSelector, readLabelSelector, selectorMatches } from './label-selector.ts'
import { LenientReader } from './lenient-reader.ts'

function read(raw: unknown): ReadSelector & { readonly problems: readonly string[] } {
  const reader = new LenientReader()
  const selector = readLabelSelector(reader, raw, 'sel')
  return { ...selector, problems: reader.problems.map(({ field, problem }) => `${field}: ${problem}`) }
}

const web: Labels = labelsOf({ app: 'web', tier: 'front' })

describe('a selector', () => {
  const rows: readonly (readonly [string, object, string, boolean])[] = [
    ['without requirements', {}, '', true],
    ['of a label that is there', { matchLabels: { app: 'web' } }, 'app in (web)', true],
    ['of a label that is otherwise', { matchLabels: { app: 'db' } }, 'app in (db)', false],
    ['of two labels', { matchLabels: { tier: 'front', app: 'web' } }, 'app in (web),tier in (front)', true],
    ['of one of several values', one('app', 'In', ['web', 'db']), 'app in (db,web)', true],
    ['of a value that is forbidden', one('app', 'NotIn', ['web']), 'app notin (web)', false],
    ['of a forbidden value of a label that is absent', one('zone', 'NotIn', ['x']), 'zone notin (x)', true],
    ['of a label that must exist', one('app', 'Exists'), 'app exists', true],
    ['of a label that must not exist', one('app', 'DoesNotExist'), 'app absent', false],
    ['of what every JavaScript object has', one('constructor', 'Exists'), 'constructor exists', false],
    ['with null where Go has nothing', { matchLabels: null, matchExpressions: null }, '', true],
  ]
  test.each(rows)('%s', (_name, raw, text, matches) => {
    const { selector, isComplete, problems } = read(raw)
    expect({ text: selector.text, isComplete, problems }).toEqual({ text, isComplete: true, problems: [] })
    expect(selectorMatches(selector, web)).toBe(matches)
  })
})

test('what means the same word by word has the same text', () => {
  const written = { matchLabels: { app: 'web' }, matchExpressions: [expression('app', 'In', ['web', 'web'])] }
  expect(read(written).selector.text).toBe(read({ matchLabels: { app: 'web' } }).selector.text)
})

test('a value that is no label’s does not read like another selector', () => {
  const sly = read({ matchLabels: { app: 'web),tier in (front' } }).selector.text
  expect(sly).not.toBe(read({ matchLabels: { app: 'web', tier: 'front' } }).selector.text)
})

describe('not complete, the readable part kept, is a selector with', () => {
  const rows: readonly (readonly [string, object, string, string])[] = [
    [
      'an unknown operator',
      { matchLabels: { a: 'b' }, ...one('x', 'Gt', ['1']) },
      'a in (b)',
      'sel.matchExpressions[0].operator: must be In, NotIn, Exists, DoesNotExist (got "Gt")',
    ],
    [
      'In without values',
      one('x', 'In', []),
      '',
      'sel.matchExpressions[0].values: must have at least one value for the operator In',
    ],
    [
      'Exists with values',
      one('x', 'Exists', ['1']),
      '',
      'sel.matchExpressions[0].values: must be empty for the operator Exists (got 1 values)',
    ],
    [
      'a label that is a number',
      { matchLabels: { a: 1, c: 'd' } },
      'c in (d)',
      'sel.matchLabels["a"]: must be text (got 1)',
    ],
    ['a field of the future', { matchFields: {} }, '', 'sel.matchFields: is not a known field'],
  ]
  test.each(rows)('%s', (_name, raw, text, problem) => {
    const { selector, isComplete, problems } = read(raw)
    expect({ text: selector.text, isComplete, problems }).toEqual({ text, isComplete: false, problems: [problem] })
  })
})

function expression(key: string, operator: string, values?: readonly string[]): object {
  return { key, operator, ...(values !== undefined && { values }) }
}

function one(key: string, operator: string, values?: readonly string[]): object {
  return { matchExpressions: [expression(key, operator, values)] }
}
