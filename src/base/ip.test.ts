import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { familyOf, ipFromBytes, ipToBytes, ipv4FromNumber, ipv4ToNumber, isIpv4, parseIpv4 } from './ip.ts'
import { unwrap } from './result.ts'

describe('parseIpv4', () => {
  test.each(['0.0.0.0', '10.0.4.7', '127.0.0.1', '169.254.1.1', '255.255.255.255', '1.20.255.0'])(
    '%s is an address',
    (text) => {
      expect(parseIpv4(text)).toEqual({ ok: true, value: text })
    },
  )

  test.each([
    ['nothing', ''],
    ['three numbers', '10.0.4'],
    ['five numbers', '10.0.4.7.1'],
    ['a leading zero, which C reads as octal', '10.0.04.7'],
    ['two zeros', '00.0.0.0'],
    ['a number above 255', '10.0.4.256'],
    ['a number of four digits', '10.0.4.1000'],
    ['an empty part', '10..4.7'],
    ['a trailing dot', '10.0.4.7.'],
    ['a leading space', ' 10.0.4.7'],
    ['a trailing newline', '10.0.4.7\n'],
    ['a negative number', '10.0.4.-7'],
    ['a sign', '10.0.4.+7'],
    ['hexadecimal', '0xa.0.4.7'],
    ['an exponent', '1e1.0.4.7'],
    ['digits of another script', '١٠.0.4.7'],
    ['a prefix length', '10.0.4.7/32'],
    ['an IPv6 address', '2001:db8::1'],
    ['one number, which inet_aton takes', '167773191'],
    ['a host name', 'localhost'],
  ])('refuses %s', (_what, text) => {
    const expected = `${JSON.stringify(text)} is not an IPv4 address (four numbers from 0 to 255, no leading zeros)`
    expect(parseIpv4(text)).toEqual({ ok: false, error: expected })
  })
})

describe('IPv4 numbers', () => {
  test.each([
    ['0.0.0.0', 0],
    ['0.0.1.0', 256],
    ['10.0.4.7', 0x0a_00_04_07],
    ['127.255.255.255', 0x7fff_ffff],
    ['128.0.0.0', 0x8000_0000],
    ['255.255.255.255', 0xffff_ffff],
  ])('%s is %i', (text, value) => {
    expect(ipv4ToNumber(unwrap(parseIpv4(text)))).toBe(value)
    expect(ipv4FromNumber(value)).toBe(text)
  })

  test.each([-1, 2 ** 32, 0.5, Number.NaN, Number.POSITIVE_INFINITY])('%d is none', (value) => {
    expect(() => ipv4FromNumber(value)).toThrow(RangeError)
  })

  test('every number is one address', () => {
    fc.assert(
      fc.property(fc.nat(0xffff_ffff), (value) => {
        const address = ipv4FromNumber(value)
        expect(parseIpv4(address)).toEqual({ ok: true, value: address })
        expect(ipv4ToNumber(address)).toBe(value)
        expect(ipToBytes(address).readUInt32BE(0)).toBe(value)
        expect(ipFromBytes(ipToBytes(address))).toBe(address)
      }),
    )
  })
})

describe('IPv6 text (RFC 5952)', () => {
  test.each([
    ['2001:0db8:0000:0000:0001:0000:0000:0001', '2001:db8::1:0:0:1', 'the first of two runs of equal length'],
    ['2001:0db8:0000:0001:0001:0001:0001:0001', '2001:db8:0:1:1:1:1:1', 'one zero group is not shortened'],
    ['2001:0000:0000:0001:0000:0000:0000:0001', '2001:0:0:1::1', 'the longest run, even when it comes later'],
    ['2001:0db8:aaaa:bbbb:cccc:dddd:eeee:0001', '2001:db8:aaaa:bbbb:cccc:dddd:eeee:1', 'leading zeros are dropped'],
    ['2001:0DB8:000A:00BC:0000:0000:0000:0000', '2001:db8:a:bc::', 'a run at the end'],
    ['0000:0000:0000:0000:0000:0000:0000:0001', '::1', 'a run at the start'],
    ['0000:0000:0000:0000:0000:0000:0000:0000', '::', 'nothing but zeros'],
    ['0000:0000:0001:0000:0000:0000:0001:0000', '0:0:1::1:0', 'runs of two, three and one'],
    ['fe80:0000:0000:0000:0000:0000:0000:0000', 'fe80::', 'a run of seven'],
    ['0000:0001:0000:0001:0000:0001:0000:0001', '0:1:0:1:0:1:0:1', 'single zeros, the first in front'],
    ['ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', 'no zero at all'],
    ['0000:0000:0000:0000:0000:ffff:c000:0201', '::ffff:c000:201', 'no mixed notation: it would need a prefix list'],
  ])('%s is %s: %s', (long, short) => {
    const bytes = Buffer.from(long.replaceAll(':', ''), 'hex')
    const address = ipFromBytes(bytes)
    expect(address).toBe(short)
    expect(ipToBytes(address)).toEqual(bytes)
    expect(familyOf(address)).toBe(6)
    expect(isIpv4(address)).toBe(false)
  })

  test('text and bytes say the same', () => {
    const group = fc.oneof(fc.constant(0), fc.nat(0xffff))
    fc.assert(
      fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
        const bytes = Buffer.alloc(16)
        groups.forEach((value, index) => bytes.writeUInt16BE(value, index * 2))
        const text = ipFromBytes(bytes)
        expect(ipToBytes(text)).toEqual(bytes)
        // The platform's own idea of an address, and of its canonical text.
        expect(new URL(`http://[${text}]/`).hostname).toBe(`[${text}]`)
      }),
    )
  })
})

test.each([0, 3, 5, 8, 15, 17])('%i bytes are no address', (length) => {
  expect(() => ipFromBytes(new Uint8Array(length))).toThrow(`an address has 4 or 16 bytes, not ${length}`)
})

test('the family is told by the text', () => {
  const address = unwrap(parseIpv4('10.0.4.7'))
  expect(familyOf(address)).toBe(4)
  expect(isIpv4(address)).toBe(true)
})
