import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { macFromBytes, macToBytes, parseMac } from './mac.ts'
import { unwrap } from './result.ts'

describe('parseMac', () => {
  test.each([
    ['02:00:17:00:00:01', '02:00:17:00:00:01', 'as it is written here'],
    ['02:00:17:0A:BC:FF', '02:00:17:0a:bc:ff', 'upper case, as the OCI console shows it'],
    ['02-00-17-00-00-01', '02:00:17:00:00:01', 'dashes'],
  ])('%s is %s: %s', (text, canonical) => {
    expect(parseMac(text)).toEqual({ ok: true, value: canonical })
  })

  test.each([
    ['nothing', ''],
    ['five octets', '02:00:17:00:00'],
    ['seven octets', '02:00:17:00:00:01:02'],
    ['an octet of one digit', '2:00:17:00:00:01'],
    ['an octet of three digits', '002:00:17:00:00:01'],
    ['no separators', '020017000001'],
    ['dots', '0200.1700.0001'],
    ['other letters', '02:00:17:00:00:0g'],
    ['a newline', '02:00:17:00:00:01\n'],
    ['dashes and colons mixed', '02-00:17:00:00:01'],
  ])('refuses %s', (_what, text) => {
    expect(parseMac(text)).toEqual({
      ok: false,
      error: `${JSON.stringify(text)} is not a MAC address such as 02:00:17:00:00:01`,
    })
  })
})

test('text and bytes say the same', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), (bytes) => {
      const mac = macFromBytes(bytes)
      expect(unwrap(parseMac(mac))).toBe(mac)
      expect(macToBytes(mac)).toEqual(Buffer.from(bytes))
    }),
  )
})
