import { describe, expect, test } from 'vitest'
import { type Ipv4Cidr, parseIpv4Cidr } from '../base/cidr.ts'
import { unwrap } from '../base/result.ts'
import { blocksText, blockWithout } from './blocks.ts'

const blocks = (texts: readonly string[]): readonly Ipv4Cidr[] => texts.map((text) => unwrap(parseIpv4Cidr(text)))

describe('a block without', () => {
  const rows: readonly (readonly [string, string, readonly string[], string])[] = [
    ['nothing is itself', '10.0.0.0/8', [], '10.0.0.0/8'],
    ['what lies elsewhere is itself', '10.0.0.0/8', ['11.0.0.0/8'], '10.0.0.0/8'],
    ['itself is nothing', '10.0.0.0/8', ['10.0.0.0/8'], ''],
    ['a wider one is nothing', '10.0.0.0/8', ['0.0.0.0/0'], ''],
    ['its first half is the other', '10.0.0.0/8', ['10.0.0.0/9'], '10.128.0.0/9'],
    ['an address in it is the blocks around', '10.0.0.0/30', ['10.0.0.1/32'], '10.0.0.0/32, 10.0.0.2/31'],
    ['both halves is nothing', '10.0.0.0/31', ['10.0.0.0/32', '10.0.0.1/32'], ''],
  ]
  test.each(rows)('%s', (_name, block, except, left) => {
    expect(blocks([block]).map((one) => blocksText(blockWithout(one, blocks(except))))).toEqual([left])
  })

  test('one address of all has a block for each bit', () => {
    const [everything] = blocks(['0.0.0.0/0'])
    expect(everything && blockWithout(everything, blocks(['203.0.113.7/32']))).toHaveLength(32)
  })
})
