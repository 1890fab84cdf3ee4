import { afterEach, beforeEach, expect, test } from 'vitest'
import { unwrap } from '../base/result.ts'
import { TestNetns } from '../linux/test-netns.fixture.ts'
import { noElements } from './elements.ts'
import { Libnftables } from './libnftables.ts'
import type { Chain, NftSet, Table } from './model.ts'
import { nft } from './nft-listing.fixture.ts'
import { verdict } from './statement.ts'
import { NftablesWriter } from './writer.ts'

const { signal } = new AbortController()
const addresses: NftSet = { key: ['ipv4_addr'], elements: noElements }
const accepting: Chain = { rules: [[verdict('accept')]] }
const dropping: Chain = { rules: [[verdict('drop')]] }

const before = tableOf({ kept: addresses, spare: addresses }, { kept: accepting, changed: accepting, gone: dropping })
const after = tableOf(
  { kept: addresses, made: addresses },
  { kept: accepting, changed: { rules: [...accepting.rules, ...dropping.rules] }, made: dropping },
)

function tableOf(sets: Readonly<Record<string, NftSet>>, chains: Readonly<Record<string, Chain>>): Table {
  return {
    family: 'ip',
    name: 'observed',
    sets: new Map(Object.entries(sets)),
    chains: new Map(Object.entries(chains)),
  }
}

let netns: TestNetns
let writer: NftablesWriter
let lost: string[]

beforeEach(async () => {
  netns = new TestNetns()
  lost = []
  writer = new NftablesWriter({
    library: unwrap(Libnftables.load()),
    family: 'ip',
    name: 'observed',
    netns: netns.fd,
    checkIntervalMs: 3_600_000,
    onLost: (reason) => void lost.push(reason),
  })
  unwrap(await writer.apply(before, signal))
  expect(unwrap(await writer.apply(after, signal)).how).toBe('edit')
})
afterEach(async () => {
  await writer[Symbol.asyncDispose]()
  netns[Symbol.dispose]()
})

test('after an edit, what others do to their own tables is no matter', async () => {
  nft(netns, 'add table ip other')
  expect(unwrap(await writer.apply({ ...after }, signal)).how).toBe('unchanged')
  expect(lost).toEqual([])
})

test.each([
  [
    'a rule of a chain that it changed',
    'flush chain ip observed changed; add rule ip observed changed drop; add rule ip observed changed accept',
    'a rule was replaced',
  ],
  [
    'a rule of a chain that it made',
    'flush chain ip observed made; add rule ip observed made drop',
    'a rule was replaced',
  ],
  [
    'a rule of a chain that it left',
    'flush chain ip observed kept; add rule ip observed kept drop',
    'a rule was replaced',
  ],
  [
    'a set that it made',
    'delete set ip observed made; add set ip observed made { type ipv4_addr; }',
    'a set was replaced',
  ],
  [
    'a set that it left',
    'delete set ip observed kept; add set ip observed kept { type ipv4_addr; }',
    'a set was replaced',
  ],
  ['a set that it deleted', 'add set ip observed spare { type ipv4_addr; }', 'chains or sets were added or deleted'],
  ['a chain that it deleted', 'add chain ip observed gone', 'chains or sets were added or deleted'],
])('after an edit, who replaces or brings back %s is noticed', async (_, command, reason) => {
  nft(netns, command)
  expect(unwrap(await writer.apply({ ...after }, signal)).how).toBe('load')
  expect(lost).toEqual([reason])
})
