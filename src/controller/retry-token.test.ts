import fc from 'fast-check'
import { expect, test } from 'vitest'
import { instanceId, ip, nsgId, subnetId, vnicId } from './observation.fixture.ts'
import { retryToken, type TokenGrounds } from './retry-token.ts'

const attach = {
  instanceId: instanceId(),
  subnetId: subnetId(),
  nsgIds: [nsgId()],
  displayName: 'vcn-cni-1',
  skipSourceDestCheck: true,
  tags: { a: '1', b: '2' },
}
const grounds: TokenGrounds = { cluster: 'lab', wish: { attach }, seen: ['x', 'y'], index: 0, salt: 0 }

test('a token fits into the API’s 64 characters and a header', () => {
  expect(retryToken(grounds)).toMatch(/^[\w-]{43}$/)
})

test.each<[what: string, other: Partial<TokenGrounds>]>([
  ['the keys are written in another order', { wish: { attach: reversed(attach) } }],
  ['the tags are', { wish: { attach: { ...attach, tags: { b: '2', a: '1' } } } }],
  ['what was seen is listed in another order', { seen: ['y', 'x'] }],
  ['a field is there without a value', { wish: { attach: withUndefined(attach) } }],
])('the same token when %s', (_, other) => {
  expect(retryToken({ ...grounds, ...other })).toBe(retryToken(grounds))
})

const privateIp = { vnicId: vnicId(), cidrPrefixLength: 28, tags: {} }
const others: readonly [what: string, other: Partial<TokenGrounds>][] = [
  ['nothing', {}],
  ['the cluster', { cluster: 'lab2' }],
  ['the instance', { wish: { attach: { ...attach, instanceId: instanceId('other') } } }],
  ['the subnet', { wish: { attach: { ...attach, subnetId: subnetId('other') } } }],
  ['the card', { wish: { attach: { ...attach, nicIndex: 0 } } }],
  ['a tag', { wish: { attach: { ...attach, tags: { a: '1', b: '3' } } } }],
  ['what was seen', { seen: ['x'] }],
  ['what was seen, though it reads alike', { seen: ['x,y'] }],
  ['the index', { index: 1 }],
  ['the salt', { salt: 1 }],
  ['the kind of thing', { wish: { privateIp } }],
  ['the VNIC', { wish: { privateIp: { ...privateIp, vnicId: vnicId('2') } } }],
  ['an address instead of a block', { wish: { privateIp: { vnicId: vnicId(), address: ip('10.0.4.9'), tags: {} } } }],
  ['the address', { wish: { privateIp: { vnicId: vnicId(), address: ip('10.0.4.10'), tags: {} } } }],
]

test('another token for every difference', () => {
  const tokens = others.map(([, other]) => retryToken({ ...grounds, ...other }))
  expect(new Set(tokens).size).toBe(others.length)
})

test('the token is a function of the grounds, whatever the order of their keys', () => {
  const tags = fc.dictionary(fc.string(), fc.string(), { maxKeys: 5 })
  const arbitrary = fc.record({ tags, seen: fc.array(fc.uuid(), { maxLength: 5 }), index: fc.nat(9), salt: fc.nat(9) })
  fc.assert(
    fc.property(arbitrary, arbitrary, (a, b) => {
      const token = ({ tags: given, ...rest }: typeof a) =>
        retryToken({ ...grounds, ...rest, wish: { attach: { ...attach, tags: given } } })
      const shuffled = { ...a, tags: reversed(a.tags), seen: a.seen.toReversed() }
      expect(token(shuffled)).toBe(token(a))
      expect(token(a) === token(b)).toBe(sameGrounds(a, b))
    }),
  )
})

interface Varied {
  readonly tags: Readonly<Record<string, string>>
  readonly seen: readonly string[]
  readonly index: number
  readonly salt: number
}

function sameGrounds(a: Varied, b: Varied): boolean {
  const text = ({ tags, seen, index, salt }: Varied): string =>
    JSON.stringify([Object.entries(tags).toSorted(), seen.toSorted(), index, salt])
  return text(a) === text(b)
}

function reversed<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).toReversed()) as T
}

function withUndefined<T extends object>(value: T): T {
  return { ...value, nicIndex: undefined }
}
