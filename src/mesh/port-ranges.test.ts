import fc from 'fast-check'
import { expect, test } from 'vitest'
import { disjointPorts, parsePortRange } from './port-ranges.ts'

test.each([
  ['80', { from: 80, to: 80 }],
  ['8000-8010', { from: 8000, to: 8010 }],
  ['8000 - 8010', { from: 8000, to: 8010 }],
  ['1-65535', { from: 1, to: 65_535 }],
])('%s is a range', (text, range) => {
  expect(parsePortRange(text)).toEqual({ ok: true, value: range })
})

test.each(['', '0', '65536', '080', '-1', '80-', '-80', '1-2-3', '8o', '1e3', '80.5', '0-10', '+80'])(
  '%j is none',
  (text) => {
    const range = parsePortRange(text)
    expect(range.ok ? range.value : range.error).toContain('is no port from 1 to 65535, nor a range such as 8000-8010')
  },
)

test('a range ends behind its beginning', () => {
  expect(parsePortRange('90-80')).toEqual({ ok: false, error: '"90-80" is a range that ends before it begins' })
})

const range = fc
  .tuple(fc.integer({ min: 1, max: 60 }), fc.nat(9))
  .map(([from, length]) => ({ from, to: from + length }))
const portsOf = (ranges: readonly { from: number; to: number }[]): Set<number> =>
  new Set(ranges.flatMap(({ from, to }) => Array.from({ length: to - from + 1 }, (_, index) => from + index)))

test('disjoint ranges hold the same ports, none twice, with a port between any two', () => {
  fc.assert(
    fc.property(fc.array(range), (ranges) => {
      const disjoint = disjointPorts(ranges)
      expect([...portsOf(disjoint)]).toEqual([...portsOf(ranges)].sort((a, b) => a - b))
      disjoint.slice(1).forEach(({ from }, index) => expect(from).toBeGreaterThan((disjoint[index]?.to ?? 0) + 1))
    }),
  )
})
