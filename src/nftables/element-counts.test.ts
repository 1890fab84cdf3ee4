import { execFileSync } from 'node:child_process'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Ipv4, parseIpv4 } from '../base/ip.ts'
import { unwrap } from '../base/result.ts'
import { TestNetns } from '../linux/test-netns.fixture.ts'
import { pack } from './datatype.ts'
import { noElements, setElementsOf } from './elements.ts'
import { Libnftables } from './libnftables.ts'
import type { Chain, NftSet, Table } from './model.ts'
import { nft } from './nft-listing.fixture.ts'
import { concat, isIn } from './statement.ts'
import { NftablesWriter } from './writer.ts'

const { signal } = new AbortController()
const ip = (text: string): Ipv4 => unwrap(parseIpv4(text))
const key = ['ipv4_addr', 'inet_service'] as const
const home = pack(['ipv4_addr'], [ip('127.0.0.1')])
const learns: Chain = {
  base: { type: 'filter', hook: 'output', priority: 0, policy: 'accept' },
  rules: [[isIn('ip daddr', 'home')], [{ kind: 'learn', set: 'seen', key: concat('ip daddr', 'udp dport') }]],
}
const counting: Table = {
  family: 'ip',
  name: 'vcn-counts',
  sets: new Map<string, NftSet>([
    ['home', { key: ['ipv4_addr'], counted: true, elements: setElementsOf([home]) }],
    ['seen', { key, counted: true, learned: { timeoutSeconds: 60 }, size: 2, elements: noElements }],
    ['plain', { key: ['ipv4_addr'], elements: setElementsOf([home]) }],
  ]),
  chains: new Map([['learns', learns]]),
}

let netns: TestNetns
let writer: NftablesWriter
beforeEach(() => {
  netns = new TestNetns()
  writer = open()
})
afterEach(async () => {
  await writer[Symbol.asyncDispose]()
  netns[Symbol.dispose]()
})

function open(): NftablesWriter {
  return new NftablesWriter({ library: unwrap(Libnftables.load()), family: 'ip', name: 'vcn-counts', netns: netns.fd })
}

function send(port: number): void {
  execFileSync('ip', ['netns', 'exec', netns.name, 'bash', '-c', `echo hello > /dev/udp/127.0.0.1/${port}`])
}

async function packetsBy(set: string): Promise<Readonly<Record<string, number>>> {
  return Object.fromEntries(unwrap(await writer.counts(set, signal)).map((one) => [one.key, one.packets]))
}

describe('a counted set', () => {
  test('tells how many packets met its elements; a learned one that is full takes no more', async () => {
    expect(unwrap(await writer.counts('home', signal))).toEqual([])
    unwrap(await writer.apply(counting, signal))
    for (const port of [7, 7, 8, 9]) send(port)
    // A refusal (ICMP) goes out as well.
    expect((await packetsBy('home'))[home]).toBeGreaterThanOrEqual(4)
    const seen = await packetsBy('seen')
    expect(Object.keys(seen)).toHaveLength(2)
    expect(seen[pack(key, [ip('127.0.0.1'), 7])]).toBe(2)
  })

  test('is no change by somebody else; a set without counters and one that is not there have none', async () => {
    unwrap(await writer.apply(counting, signal))
    send(7)
    expect(unwrap(await writer.apply(counting, signal)).how).toBe('unchanged')
    expect(unwrap(await writer.counts('plain', signal))).toEqual([])
    expect(unwrap(await writer.counts('nowhere', signal))).toEqual([])
  })

  test('begins at 0 when the table is loaded anew; what was learned is still in it', async () => {
    unwrap(await writer.apply(counting, signal))
    send(7)
    nft(netns, 'add chain ip vcn-counts other')
    expect(unwrap(await writer.apply(counting, signal)).how).toBe('load')
    expect(await packetsBy('home')).toEqual({ [home]: 0 })
    expect(await packetsBy('seen')).toEqual({ [pack(key, [ip('127.0.0.1'), 7])]: 0 })
  })
})
