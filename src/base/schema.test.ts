import { describe, expect, test } from 'vitest'
import * as z from 'zod'
import { parseIpv4 } from './ip.ts'
import { formatFieldErrors, parseWith, viaParser } from './schema.ts'

const address = z.string().transform(viaParser(parseIpv4))
const schema = z.strictObject({
  name: z.string().min(1),
  mtu: z.number().int().min(68).max(9000),
  mode: z.enum(['spread', 'pack']),
  listen: z.union([z.number(), z.strictObject({ path: z.string() })]),
  source: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('file'), path: z.string() }),
    z.strictObject({ kind: z.literal('kubernetes') }),
  ]),
  vnics: z.array(z.strictObject({ addresses: z.array(address).min(1) })),
  labels: z.record(z.string(), z.string()),
  note: z.string('must be a sentence').optional(),
})

const valid = {
  name: 'a',
  mtu: 9000,
  mode: 'pack',
  listen: 80,
  source: { kind: 'kubernetes' },
  vnics: [{ addresses: ['10.0.4.7'] }],
  labels: { zone: 'a' },
}

/** `field: problem` of each thing that is wrong with the valid input when `change` is made to it. */
function problems(change: Readonly<Record<string, unknown>>): readonly string[] {
  const parsed = parseWith(schema, { ...valid, ...change })
  return parsed.ok ? [] : parsed.error.map((error) => formatFieldErrors([error]))
}

test('valid input comes out as it went in', () => {
  expect(parseWith(schema, valid)).toEqual({ ok: true, value: valid })
})

const circular: unknown[] = []
circular.push(circular)

describe('every error names its field', () => {
  test.each([
    ['missing', { name: undefined }, 'name: is required'],
    [
      'missing of an enumeration',
      { mode: undefined },
      'mode: is required: Invalid option: expected one of "spread"|"pack"',
    ],
    ['missing of a union', { listen: undefined }, 'listen: is required'],
    ['of another type', { mtu: '9000' }, 'mtu: Invalid input: expected number, received string (got "9000")'],
    ['out of range', { mtu: 67 }, 'mtu: Too small: expected number to be >=68 (got 67)'],
    ['a number that the sentence has by chance', { mtu: 6 }, 'mtu: Too small: expected number to be >=68 (got 6)'],
    ['not a number', { mtu: Number.NaN }, 'mtu: Invalid input: expected number, received NaN (got NaN)'],
    ['null', { mtu: null }, 'mtu: Invalid input: expected number, received null'],
    ['none of an enumeration', { mode: 'x' }, 'mode: Invalid option: expected one of "spread"|"pack" (got "x")'],
    ['in a list of objects', { vnics: [{ addresses: ['10.0.4.7'] }, {}] }, 'vnics[1].addresses: is required'],
    [
      'deep in lists, by a parser of ours',
      { vnics: [{ addresses: ['10.0.4.7', '10.0.4'] }] },
      'vnics[0].addresses[1]: "10.0.4" is not an IPv4 address (four numbers from 0 to 255, no leading zeros)',
    ],
    [
      'an empty list',
      { vnics: [{ addresses: [] }] },
      'vnics[0].addresses: Too small: expected array to have >=1 items (got [])',
    ],
    ['of a map', { labels: { zone: 1 } }, 'labels.zone: Invalid input: expected string, received number (got 1)'],
    [
      'no form of a union',
      { listen: { path: 1 } },
      'listen: Invalid input: expected number, received object; or path: Invalid input: expected string, received number (got {"path":1})',
    ],
    ['no kind', { source: {} }, `source.kind: Invalid discriminator value. Expected 'file' | 'kubernetes' (got {})`],
    ['within the kind', { source: { kind: 'file' } }, 'source.path: is required'],
    ['a list for an object', { source: [] }, 'source: Invalid input: expected object, received array (got [])'],
    ['the schema’s own sentence', { note: 5 }, 'note: must be a sentence (got 5)'],
    [
      'circular, as YAML can be',
      { labels: { a: circular } },
      'labels.a: Invalid input: expected string, received array (got <ref *1> [ [Circular *1] ])',
    ],
    ['a bigint', { mtu: 9000n }, 'mtu: Invalid input: expected number, received bigint (got 9000n)'],
  ])('%s', (_what, change, expected) => {
    expect(problems(change)).toEqual([expected])
  })

  test('unknown fields, each of them, at any depth', () => {
    expect(problems({ colour: 1, source: { kind: 'kubernetes', path: '/x', file: 1 } })).toEqual([
      'source.path: is not a known field',
      'source.file: is not a known field',
      'colour: is not a known field',
    ])
  })

  test('all of them, not only the first', () => {
    const parsed = parseWith(schema, {})
    expect(parsed).toMatchObject({ ok: false })
    const fields = parsed.ok ? [] : parsed.error.map(({ field }) => field)
    expect(fields).toEqual(['name', 'mtu', 'mode', 'listen', 'source', 'vnics', 'labels'])
  })

  test.each([
    ['nothing', undefined, 'is required'],
    ['null', null, 'Invalid input: expected object, received null'],
    ['text', 'x', 'Invalid input: expected object, received string (got "x")'],
  ])('except where the whole is wrong: %s', (_what, raw, problem) => {
    expect(parseWith(schema, raw)).toEqual({ ok: false, error: [{ field: '', problem }] })
  })
})

test('a long value is shown by its beginning', () => {
  const [problem = ''] = problems({ mtu: 'x'.repeat(500) })
  expect(problem).toBe(`mtu: Invalid input: expected number, received string (got "${'x'.repeat(119)}…)`)
})

test('errors are one line together', () => {
  const errors = [
    { field: '', problem: 'must be an object' },
    { field: 'a[0].b', problem: 'is required' },
  ]
  expect(formatFieldErrors(errors)).toBe('must be an object; a[0].b: is required')
})
