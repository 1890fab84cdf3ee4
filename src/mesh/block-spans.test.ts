import { expect, test } from 'vitest'
import { disjointSpans } from './block-spans.ts'
import { block } from './redirections.fixture.ts'

test.each([
  ['one address', 4, ['192.0.2.1/32'], ['192.0.2.1-192.0.2.1']],
  ['a block that ends within a byte', 4, ['10.0.0.128/26'], ['10.0.0.128-10.0.0.191']],
  ['everything', 4, ['0.0.0.0/0'], ['0.0.0.0-255.255.255.255']],
  ['everything of IPv6', 6, ['::/0'], ['::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff']],
  ['a block of IPv6', 6, ['fd00:0:0:8::/62'], ['fd00:0:0:8::-fd00::b:ffff:ffff:ffff:ffff']],
  ['the same twice', 4, ['10.0.0.0/8', '10.0.0.0/8'], ['10.0.0.0-10.255.255.255']],
  ['blocks in others', 4, ['10.0.1.0/24', '10.0.0.0/8', '10.255.255.255/32'], ['10.0.0.0-10.255.255.255']],
  ['neighbours', 4, ['10.0.1.0/24', '10.0.0.0/24'], ['10.0.0.0-10.0.0.255', '10.0.1.0-10.0.1.255']],
  ['those of one family alone', 6, ['10.0.0.0/8', 'fd00::/8'], ['fd00::-fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff']],
] as const)('spans of %s', (_, family, blocks, spans) => {
  expect(disjointSpans(blocks.map(block), family).map(({ first, last }) => `${first}-${last}`)).toEqual(spans)
})
