import { expect, test } from 'vitest'
import { equals, type Statement, verdict } from './statement.ts'
import { nameProblem } from './names.ts'
import { renderRule } from './render-statement.ts'

test.each([
  ['lb4-tcp-3', undefined],
  ['from_pod', undefined],
  ['', 'is no name in nftables'],
  ['4ever', 'is no name in nftables'],
  ['a b', 'is no name in nftables'],
  ['x; flush ruleset', 'is no name in nftables'],
  ['fwd', 'is a word of nft’s language'.replace('’', "'")],
  ['a'.repeat(256), 'is no name in nftables'],
])('%j as a name', (name, problem) => {
  if (problem === undefined) expect(nameProblem(name)).toBeUndefined()
  else expect(nameProblem(name)).toContain(problem)
})

test.each<[string, Statement]>([
  ['an address that ends the rule', equals('ip saddr', '10.0.0.1; drop')],
  ['a keyword with a line end', equals('ct state', 'new\nflush ruleset')],
  ['an interface that closes its quotes', equals('iifname', 'eth0" drop "')],
  ['a port that is a text', equals('tcp dport', '80 drop')],
  ['a prefix that closes its quotes', { kind: 'log', prefix: 'a" drop "' }],
  ['a chain that is two words', verdict('goto a b')],
  ['a jump to nowhere', { kind: 'verdict', verdict: 'jump ' }],
  ['a target with a command', { kind: 'nat', action: 'dnat', family: 'ip', to: { address: '10.0.0.1 drop' } }],
  ['a port that there is not', { kind: 'redirect', port: 65_536 }],
  ['a zone that there is not', { kind: 'zone', zone: -1 }],
  ['a map with a command', { kind: 'vmap', key: 'ip daddr', map: 'm drop' }],
])('%s is not rendered', (_, statement) => {
  expect(() => renderRule([statement])).toThrow(RangeError)
})
