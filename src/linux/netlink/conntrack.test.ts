// Bytes that conntrack(8) and the kernel exchanged, and what conntrack printed of them (testdata/capture-conntrack.ts).
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Ipv4 } from '../../base/ip.ts'
import {
  type ConntrackEntry,
  type ConntrackFilter,
  decodeConntrack,
  deleteConntrack,
  dumpConntrack,
  passesFilter,
} from './conntrack.ts'
import { asPrinted, type CapturedConversation, conntrackConversations, parsePrinted } from './conntrack-line.fixture.ts'
import {
  decodeConntrackCount,
  decodeConntrackCounters,
  dumpConntrackCounters,
  getConntrackCount,
} from './conntrack-statistics.ts'
import { NLMSG_DONE } from './constants.ts'
import { Attributes, decodeMessages, encodeRequests, MalformedNetlink, type NetlinkRequest } from './wire.ts'

const CTA_TUPLE_ORIG = 1
const CTA_ZONE = 18
const headerBytes = 20

function said(command: string): CapturedConversation {
  const found = conntrackConversations.find((conversation) => conversation.command === command)
  if (found === undefined) throw new Error(`"${command}" was not captured`)
  return found
}

function lastSent({ exchanges }: CapturedConversation): Buffer {
  return Buffer.from(exchanges.at(-1)?.sent ?? '', 'hex')
}

/** Bodies that the kernel answered to the first request. */
function bodies({ exchanges }: CapturedConversation): readonly Buffer[] {
  const datagrams = exchanges[0]?.received ?? []
  return datagrams
    .flatMap((hex) => [...decodeMessages(Buffer.from(hex, 'hex'))])
    .filter(({ type }) => type > NLMSG_DONE)
    .map(({ body }) => body)
}

function entries(conversation: CapturedConversation): readonly ConntrackEntry[] {
  return bodies(conversation).flatMap((body) => decodeConntrack(body) ?? [])
}

const lists = conntrackConversations.filter(({ command }) => command.startsWith('conntrack -L'))
const deletions = conntrackConversations.filter(({ command }) => command.startsWith('conntrack -D'))

describe('what the kernel tells reads as conntrack prints it', () => {
  test.each(lists)('$command', (conversation) => {
    const printed = parsePrinted(conversation.printed)
    // The mark's filter is conntrack's own on this kernel's answer, or the kernel's: both are the same list.
    expect(entries(conversation).map(asPrinted)).toEqual(printed)
    expect(printed.length).toBeGreaterThan(0)
  })

  test('protocols by name', () => {
    const all = lists.slice(0, 2).flatMap(entries)
    expect(new Map(all.map(({ protocolNumber, protocol }) => [protocolNumber, protocol]))).toEqual(
      new Map([
        [6, 'tcp'],
        [17, 'udp'],
        [132, 'sctp'],
        [1, 'icmp'],
        [58, 'icmp'],
        [47, 'other'],
      ]),
    )
  })

  test('how many there are', () => {
    const conversation = said('conntrack -C')
    const [body] = bodies(conversation)
    expect(decodeConntrackCount(body ?? Buffer.alloc(0)).entries).toBe(Number(conversation.printed))
  })

  test('counters of each processor', () => {
    const conversation = said('conntrack -S')
    const lines = conversation.printed.trim().split('\n')
    const printed = lines.map((line) => [...line.matchAll(/ \w+=(\d+)|\t\w+=(\d+)/g)].map((m) => Number(m[1] ?? m[2])))
    expect(bodies(conversation).map((body) => Object.values(decodeConntrackCounters(body)))).toEqual(printed)
    expect(printed.flat().some((count) => count > 0)).toBe(true)
  })
})

describe('our request is conntrack’s to the byte', () => {
  test.each<[string, NetlinkRequest]>([
    ['conntrack -L -f ipv4 -o extended,id', dumpConntrack({ family: 4 })],
    ['conntrack -L -f ipv6 -o extended,id', dumpConntrack({ family: 6 })],
    ['conntrack -L -f ipv4 -m 0x7/0xff -o extended,id', dumpConntrack({ family: 4, mark: { value: 0x7, mask: 0xff } })],
    ['conntrack -C', getConntrackCount()],
    ['conntrack -S', dumpConntrackCounters()],
  ])('%s', (command, request) => {
    const theirs = lastSent(said(command))
    expect(encodeRequests([request], theirs.readUInt32LE(8), 0).toString('hex')).toBe(theirs.toString('hex'))
  })

  // conntrack adds the other direction, mark and timeout, which the kernel does not look at; we add the identity.
  test.each(deletions)('$command: the tuple and the zone', (conversation) => {
    const [printed] = parsePrinted(conversation.printed)
    const entry = entries(conversation).find(({ id }) => id === printed?.id)
    if (entry === undefined) throw new Error('the deleted entry was not captured')
    const theirs = lastSent(conversation)
    const { type, body } = deleteConntrack(entry)
    expect(type).toBe(theirs.readUInt16LE(4))
    const [our, their] = [body.subarray(4), theirs.subarray(headerBytes)].map((bytes) =>
      Attributes.decode(Buffer.from(bytes)),
    )
    expect(our?.bytes(CTA_TUPLE_ORIG)?.toString('hex')).toBe(their?.bytes(CTA_TUPLE_ORIG)?.toString('hex'))
    expect(our?.bytes(CTA_ZONE)?.toString('hex')).toBe(their?.bytes(CTA_ZONE)?.toString('hex'))
    expect(body[0]).toBe(theirs[headerBytes - 4])
  })
})

test('a protocol without a family is a mistake: the kernel wants both', () => {
  expect(() => dumpConntrack({ protocolNumber: 17 })).toThrow('needs a family')
})

describe('a filter that the kernel passed over lets through', () => {
  test.each<[string, ConntrackFilter, readonly string[]]>([
    ['everything without conditions', {}, ['udp', 'udp', 'tcp', 'sctp', 'icmp', 'other', 'udp6', 'icmp6']],
    ['a family', { family: 6 }, ['udp6', 'icmp6']],
    ['a protocol of a family', { family: 4, protocolNumber: 17 }, ['udp', 'udp']],
    ['a zone', { zone: 5 }, ['udp']],
    ['no zone', { family: 4, protocolNumber: 17, zone: 0 }, ['udp']],
    ['a mark', { mark: { value: 7, mask: 0xff } }, ['udp']],
    ['no mark', { family: 4, protocolNumber: 17, mark: { value: 0, mask: 0xff } }, ['udp']],
  ])('%s', (_, filter, names) => {
    const all = lists.slice(0, 2).flatMap(entries)
    const passed = all.filter((entry) => passesFilter(entry, filter))
    expect(passed.map(({ protocol, family }) => `${protocol}${family === 6 ? '6' : ''}`).sort()).toEqual(
      [...names].sort(),
    )
  })

  test('a mark with the highest bit', () => {
    const [entry] = lists.flatMap(entries)
    if (entry === undefined) throw new Error('nothing was captured')
    expect(passesFilter({ ...entry, mark: 0xffff_ff07 }, { mark: { value: 0xff00_0000, mask: 0xff00_0000 } })).toBe(
      true,
    )
  })
})

test('a zone of one direction only goes back as it came', () => {
  const address = (text: string): Ipv4 => text as Ipv4
  const original = {
    source: address('10.0.0.1'),
    destination: address('10.0.0.2'),
    sourcePort: 1,
    destinationPort: 2,
    zone: 9,
  }
  const { body } = deleteConntrack({ original, protocolNumber: 17, id: 1, zone: 0 })
  const tuple = Attributes.decode(Buffer.from(body.subarray(4))).nested(CTA_TUPLE_ORIG)
  expect(tuple?.bytes(3)?.toString('hex')).toBe('0009')
})

describe('bad bytes are malformed and nothing else', () => {
  const all = lists.flatMap(bodies)

  function onlyMalformed(body: Buffer): void {
    try {
      decodeConntrack(body)
    } catch (error) {
      expect(error).toBeInstanceOf(MalformedNetlink)
    }
  }

  test('cut off at every byte', () => {
    for (const body of all) for (let length = 0; length < body.length; length++) onlyMalformed(body.subarray(0, length))
    expect(all.length).toBeGreaterThan(0)
  })

  test('with some bytes changed', () => {
    const change = fc.tuple(fc.nat(), fc.nat(255))
    fc.assert(
      fc.property(fc.constantFrom(...all), fc.array(change, { minLength: 1, maxLength: 6 }), (body, changes) => {
        const damaged = Buffer.from(body)
        for (const [at, value] of changes) damaged[at % damaged.length] = value
        onlyMalformed(damaged)
      }),
      { numRuns: 2000 },
    )
  })
})
