import { expect, test } from 'vitest'
import { err, ok, unwrap } from './result.ts'

test('unwrap gives the value, falsy ones too', () => {
  expect(unwrap(ok(0))).toBe(0)
  expect(unwrap(ok(''))).toBe('')
})

test('unwrap throws the very error', () => {
  const error = new TypeError('the reason')
  expect(() => unwrap(err(error))).toThrow(error)
})

test.each([
  ['a sentence', 'no such thing', 'no such thing'],
  ['fields', [{ field: 'mtu', problem: 'is required' }], "[ { field: 'mtu', problem: 'is required' } ]"],
])('unwrap shows %s, and keeps it as the cause', (_what, error, message) => {
  expect(() => unwrap(err(error))).toThrow(expect.objectContaining({ message, cause: error }))
})
