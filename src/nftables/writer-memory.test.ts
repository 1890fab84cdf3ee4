import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ipv4FromNumber } from '../base/ip.ts'
import { type Result, unwrap } from '../base/result.ts'
import { TestNetns } from '../linux/test-netns.fixture.ts'
import { packerOf } from './datatype.ts'
import { noElements, setElementsOf } from './elements.ts'
import { Libnftables } from './libnftables.ts'
import type { Chain, NftSet, Table } from './model.ts'
import type { NftError } from './nft-error.ts'
import { listTable, nft } from './nft-listing.fixture.ts'
import { verdict } from './statement.ts'
import { type AppliedStats, NftablesWriter } from './writer.ts'

const { signal } = new AbortController()
const packAddress = packerOf(['ipv4_addr'])
const remembered: NftSet = {
  key: ['ipv4_addr'],
  learned: { timeoutSeconds: 3600, until: 'change' },
  elements: noElements,
}

/** One of many, by its only member. */
function tableOf(member: number, chains: Readonly<Record<string, Chain>> = {}): Table {
  const members: NftSet = { key: ['ipv4_addr'], elements: setElementsOf([packAddress(ipv4FromNumber(member))]) }
  const sets = new Map([
    ['members', members],
    ['remembered', remembered],
  ])
  return { family: 'ip', name: 'vcn-memory', sets, chains: new Map(Object.entries(chains)) }
}

let netns: TestNetns
let writer: NftablesWriter
let lost: string[]
beforeEach(() => {
  netns = new TestNetns()
  lost = []
  writer = open()
})
afterEach(async () => {
  await writer[Symbol.asyncDispose]()
  netns[Symbol.dispose]()
})

/** Never checks by itself, unless told. */
function open(checkIntervalMs = 3_600_000): NftablesWriter {
  const library = unwrap(Libnftables.load())
  const onLost = (reason: string): void => void lost.push(reason)
  return new NftablesWriter({ library, family: 'ip', name: 'vcn-memory', netns: netns.fd, checkIntervalMs, onLost })
}

const how = (result: Result<AppliedStats, NftError>): string => unwrap(result).how
const count = (): number => listTable(netns, 'ip vcn-memory').sets['remembered']?.elements.length ?? -1
const learn = (): void => void nft(netns, 'add element ip vcn-memory remembered { 10.0.0.1, 10.0.0.2 }')

describe('what holds until a change', () => {
  test('is forgotten with every change, and only then', async () => {
    unwrap(await writer.apply(tableOf(1), signal))
    const rows = [
      ['unchanged', 2, tableOf(1)],
      ['elements', 0, tableOf(2)],
      ['edit', 0, tableOf(2, { more: { rules: [[verdict('accept')]] } })],
    ] as const
    for (const [way, left, table] of rows) {
      learn()
      expect(how(await writer.apply(table, signal))).toBe(way)
      expect(count()).toBe(left)
    }
    expect(lost).toEqual([])
  })

  test('is not there after a restart', async () => {
    unwrap(await writer.apply(tableOf(1), signal))
    learn()
    await using restarted = open()
    expect(how(await restarted.apply(tableOf(1), signal))).toBe('load')
    expect(count()).toBe(0)
  })

  test('and was learned by a packet under way is forgotten soon after', async () => {
    await using sweeping = open(10)
    unwrap(await sweeping.apply(tableOf(1), signal))
    unwrap(await sweeping.apply(tableOf(2), signal))
    learn()
    await expect.poll(count, { timeout: 5000 }).toBe(0)
    expect(how(await sweeping.apply(tableOf(3), signal))).toBe('elements')
    expect(lost).toEqual([])
  })
})
