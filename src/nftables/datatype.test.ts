import { expect, test } from 'vitest'
import { parseIpv4 } from '../base/ip.ts'
import { unwrap } from '../base/result.ts'
import { codecs, type Datatype, pack, packedBytes, packerOf, packRange, unpackTexts } from './datatype.ts'

const ip = (text: string) => unwrap(parseIpv4(text))
const hex = (packed: string): string => Buffer.from(packed, 'latin1').toString('hex')

test('components of a concatenation fill registers of four bytes', () => {
  const service = pack(['ipv4_addr', 'inet_proto', 'inet_service'], [ip('10.96.0.1'), 'tcp', 443])
  expect(hex(service)).toBe('0a600001' + '06000000' + '01bb0000')
})

test('a single component stands without padding', () => {
  expect(hex(pack(['inet_proto'], ['udp']))).toBe('11')
  expect(hex(pack(['inet_service'], [80]))).toBe('0050')
})

test('numbers of the host are in its byte order, ports in the network’s', () => {
  expect(hex(pack(['mark', 'inet_service', 'random'], [0x4000, 53, 7]))).toBe('00400000' + '00350000' + '07000000')
})

test('an interface takes sixteen bytes', () => {
  expect(hex(pack(['ifname'], ['eth0']))).toBe('65746830' + '00'.repeat(12))
})

test('a range is its first key and its last', () => {
  const range = packRange(['ipv4_addr', 'inet_service'], [ip('10.0.0.0'), 80], [ip('10.0.0.255'), 90])
  expect(hex(range)).toBe('0a000000' + '00500000' + '0a0000ff' + '005a0000')
})

test('what was packed is read back as nft writes it', () => {
  const types = ['ifname', 'ipv4_addr', 'inet_proto', 'inet_service', 'mark', 'random'] as const
  const packed = packerOf(types)('oci0123456789a', ip('255.0.10.1'), 'sctp', 65_535, 0xffff_ffff, 3)
  expect(packed).toHaveLength(packedBytes(types))
  expect(unpackTexts(types, packed)).toEqual(['"oci0123456789a"', '255.0.10.1', 'sctp', '65535', '4294967295', '3'])
})

test.each<[string, Datatype, unknown]>([
  ['a port above 65535', 'inet_service', 65_536],
  ['a port that is no whole number', 'inet_service', 1.5],
  ['a negative mark', 'mark', -1],
  ['a mark of 33 bits', 'mark', 2 ** 32],
  ['an IPv6 address where IPv4 is due', 'ipv4_addr', '2001:db8::1'],
  ['half an address', 'ipv4_addr', '10.0'],
  ['an IPv4 address where IPv6 is due', 'ipv6_addr', '10.0.0.1'],
  ['an interface of sixteen characters', 'ifname', 'abcdefghijklmnop'],
  ['an interface of sixteen bytes', 'ifname', 'ääääääää'],
  ['an interface with a quote', 'ifname', 'a"b'],
  ['a nameless interface', 'ifname', ''],
])('%s cannot be packed', (_, type, value) => {
  const codec = codecs[type] as { readonly pack: (value: unknown) => string }
  expect(() => codec.pack(value)).toThrow(RangeError)
})

test('bytes of another type are not read', () => {
  expect(() => unpackTexts(['ipv4_addr'], 'abc')).toThrow('3 bytes where ipv4_addr has 4')
})
