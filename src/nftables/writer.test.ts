import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Ipv4, ipv4FromNumber, parseIpv4 } from '../base/ip.ts'
import { type Result, unwrap } from '../base/result.ts'
import { NftablesSocket } from '../linux/netlink/nftables/socket.ts'
import { withNetns } from '../linux/netns.ts'
import { TestNetns } from '../linux/test-netns.fixture.ts'
import { pack, type Packed, packRange } from './datatype.ts'
import { editElements, type Elements, elementsOf, noElements, setElementsOf } from './elements.ts'
import { Libnftables } from './libnftables.ts'
import type { Chain, NftSet, Table } from './model.ts'
import type { NftError } from './nft-error.ts'
import { listTable, nft } from './nft-listing.fixture.ts'
import { concat, dispatch, equals, isIn, verdict } from './statement.ts'
import { type AppliedStats, NftablesWriter } from './writer.ts'

const signal = new AbortController().signal
const ip = (text: string): Ipv4 => unwrap(parseIpv4(text))
const serviceKey = ['ipv4_addr', 'inet_proto', 'inet_service'] as const
const service = (index: number): Packed => pack(serviceKey, [ipv4FromNumber(0x0a60_0000 + index), 'tcp', 80])
const affinityKey = ['ipv4_addr', 'ipv4_addr'] as const

const entry: Chain = {
  base: { type: 'filter', hook: 'prerouting', priority: -100, policy: 'accept' },
  rules: [
    [dispatch(concat('ip daddr', 'meta l4proto', 'th dport'), 'services')],
    [isIn('ip saddr', 'blocks'), verdict('drop')],
  ],
}
const affinity: NftSet = {
  key: affinityKey,
  data: ['ipv4_addr'],
  learned: { timeoutSeconds: 3600 },
  elements: noElements,
}
const blocks = setElementsOf([packRange(['ipv4_addr'], [ip('10.9.0.0')], [ip('10.9.0.255')])])

function tableWith(services: Elements, chains: Readonly<Record<string, Chain>> = {}): Table {
  return {
    family: 'ip',
    name: 'vcn-writer',
    sets: new Map<string, NftSet>([
      ['services', { key: serviceKey, data: 'verdict', elements: services }],
      ['affinity', affinity],
      ['blocks', { key: ['ipv4_addr'], interval: true, elements: blocks }],
    ]),
    chains: new Map(Object.entries({ entry, 'lb-1': { rules: [[verdict('accept')]] }, ...chains })),
  }
}
const services = (...indexes: number[]): Elements => elementsOf(indexes.map((index) => [service(index), 'goto lb-1']))
const elementCount = (): number => listTable(netns, 'ip vcn-writer').sets['services']?.elements.length ?? -1
const how = (result: Result<AppliedStats, NftError>): string => unwrap(result).how

let netns: TestNetns
let library: Libnftables
let writer: NftablesWriter
let lost: string[]

beforeEach(() => {
  netns = new TestNetns()
  library = unwrap(Libnftables.load())
  lost = []
  writer = open()
})
afterEach(async () => {
  await writer[Symbol.asyncDispose]()
  netns[Symbol.dispose]()
})

/** Never checks by itself. */
function open(): NftablesWriter {
  const checkIntervalMs = 3_600_000
  const onLost = (reason: string): void => void lost.push(reason)
  return new NftablesWriter({ library, family: 'ip', name: 'vcn-writer', netns: netns.fd, checkIntervalMs, onLost })
}

describe('what changed is all that is sent', () => {
  test('first everything, then elements, then structure, then nothing', async () => {
    expect(unwrap(await writer.apply(tableWith(services(1, 2)), signal))).toMatchObject({
      how: 'load',
      elementsAdded: 3,
    })
    expect(unwrap(await writer.apply(tableWith(services(2, 3)), signal))).toMatchObject({
      how: 'elements',
      elementsAdded: 1,
      elementsDeleted: 1,
    })
    const withChain = tableWith(editElements(services(2, 3), { set: [[service(4), 'goto lb-2']] }), {
      'lb-2': { rules: [] },
    })
    expect(unwrap(await writer.apply(withChain, signal))).toMatchObject({ how: 'edit', elementsAdded: 1 })
    expect(how(await writer.apply({ ...withChain }, signal))).toBe('unchanged')
    expect(elementCount()).toBe(3)
  })

  test('each change is one transaction', async () => {
    using socket = withNetns(netns.fd, () => new NftablesSocket())
    unwrap(await writer.apply(tableWith(services(1)), signal))
    for (const next of [tableWith(services(2)), tableWith(services(2, 3), { more: { rules: [[verdict('drop')]] } })]) {
      const before = socket.generation()
      unwrap(await writer.apply(next, signal))
      expect(socket.generation()).toBe(before + 1)
    }
  })

  test('a table that was there before is replaced', async () => {
    nft(netns, 'add table ip vcn-writer; add chain ip vcn-writer leftover')
    expect(how(await writer.apply(tableWith(services(1)), signal))).toBe('load')
    expect(Object.keys(listTable(netns, 'ip vcn-writer').chains)).toEqual(['entry', 'lb-1'])
  })

  test('thousands of elements are one transaction too', async () => {
    const many = services(...Array.from({ length: 20_000 }, (_, index) => index))
    unwrap(await writer.apply(tableWith(services()), signal))
    expect(how(await writer.apply(tableWith(many), signal))).toBe('elements')
    expect(elementCount()).toBe(20_000)
    expect(how(await writer.apply(tableWith(services(7)), signal))).toBe('elements')
    expect(elementCount()).toBe(1)
  })
})

test('wishes that have not begun give way to the latest', async () => {
  using socket = withNetns(netns.fd, () => new NftablesSocket())
  unwrap(await writer.apply(tableWith(services(0)), signal))
  const before = socket.generation()
  const results = await Promise.all([1, 2, 3, 4].map((index) => writer.apply(tableWith(services(index)), signal)))
  expect(results.map(how)).toEqual(['elements', 'elements', 'elements', 'elements'])
  expect(socket.generation()).toBe(before + 1)
  expect(listTable(netns, 'ip vcn-writer').sets['services']?.elements[0]).toContain('10.96.0.4')
})

describe('somebody else at the ruleset', () => {
  test.each([
    ['flushes it', 'flush ruleset', 'the table is gone'],
    ['deletes the table', 'delete table ip vcn-writer', 'the table is gone'],
    ['makes the table anew', 'delete table ip vcn-writer; add table ip vcn-writer', 'the table was made anew'],
    ['empties a chain', 'flush chain ip vcn-writer entry', 'a rule was replaced'],
    ['adds a rule', 'insert rule ip vcn-writer entry drop', 'a rule was replaced'],
    ['adds a chain', 'add chain ip vcn-writer mine', 'chains or sets were added or deleted'],
    ['puts it to sleep', 'add table ip vcn-writer { flags dormant; }', 'the table is dormant'],
  ])('%s: the next change makes everything again', async (_, command, reason) => {
    unwrap(await writer.apply(tableWith(services(1)), signal))
    const before = listTable(netns, 'ip vcn-writer')
    nft(netns, command)
    expect(how(await writer.apply(tableWith(services(1)), signal))).toBe('load')
    expect(lost).toEqual([reason])
    expect(listTable(netns, 'ip vcn-writer')).toEqual(before)
  })

  test('an element that is gone is noticed when it is to be deleted', async () => {
    unwrap(await writer.apply(tableWith(services(1, 2)), signal))
    nft(netns, 'delete element ip vcn-writer services { 10.96.0.1 . tcp . 80 }')
    expect(how(await writer.apply(tableWith(services(2)), signal))).toBe('load')
    expect(elementCount()).toBe(1)
  })

  test('an element that is there already is noticed when it is to be added', async () => {
    unwrap(await writer.apply(tableWith(services(1)), signal))
    nft(netns, 'add element ip vcn-writer services { 10.96.0.2 . tcp . 80 : drop }')
    expect(how(await writer.apply(tableWith(services(1, 2)), signal))).toBe('load')
    expect(elementCount()).toBe(2)
  })

  test('is noticed without a change of ours, and repaired', async () => {
    const repairs: string[] = []
    await using watching = new NftablesWriter({
      library,
      family: 'ip',
      name: 'vcn-writer',
      netns: netns.fd,
      checkIntervalMs: 20,
      onLost: (reason) => void lost.push(reason),
      onRepair: (outcome) => void repairs.push(how(outcome)),
    })
    unwrap(await watching.apply(tableWith(services(1)), signal))
    nft(netns, 'flush ruleset')
    await expect.poll(() => nft(netns, 'list', 'tables').trim()).toBe('table ip vcn-writer')
    await expect.poll(() => repairs).toEqual(['load'])
    expect(elementCount()).toBe(1)
    expect(lost).toEqual(['the table is gone'])
  })

  test('has a table of his own: ours is left alone', async () => {
    unwrap(await writer.apply(tableWith(services(1)), signal))
    nft(netns, 'add table ip other')
    expect(how(await writer.apply(tableWith(services(1, 2)), signal))).toBe('elements')
    expect(lost).toEqual([])
  })

  test('works at the same time: nobody loses a change', async () => {
    await using other = new NftablesWriter({ library, family: 'ip', name: 'vcn-other', netns: netns.fd })
    const run = async (mine: NftablesWriter, name: string): Promise<string[]> => {
      const ways: string[] = []
      for (let index = 0; index < 50; index++) {
        ways.push(how(await mine.apply({ ...tableWith(services(index, index + 1)), name }, signal)))
      }
      return ways
    }
    const expected = ['load', ...Array.from({ length: 49 }, () => 'elements')]
    expect(await Promise.all([run(writer, 'vcn-writer'), run(other, 'vcn-other')])).toEqual([expected, expected])
  })
})

test('large changes get through while others change theirs all the time', async () => {
  await using other = new NftablesWriter({ library, family: 'ip', name: 'vcn-other', netns: netns.fd })
  const none = tableWith(services())
  const many = tableWith(services(...Array.from({ length: 20_000 }, (_, index) => index)))
  unwrap(await writer.apply(none, signal))
  let isDone = false
  let changes = 0
  const disturb = async (): Promise<void> => {
    for (; !isDone; changes++) unwrap(await other.apply({ ...tableWith(services(changes)), name: 'vcn-other' }, signal))
  }
  const disturbing = disturb()
  const ways: string[] = []
  while (changes < 20) {
    for (const wanted of [many, none]) ways.push(how(await writer.apply(wanted, signal)))
  }
  isDone = true
  await disturbing
  expect(new Set(ways)).toEqual(new Set(['elements']))
  expect(lost).toEqual([])
})

describe('what the kernel refuses', () => {
  const toNowhere = elementsOf([
    [service(1), 'goto lb-1'],
    [service(2), 'goto nowhere'],
  ])

  test('an element: the error names it, nothing has changed, the next change loads everything', async () => {
    unwrap(await writer.apply(tableWith(services(1, 3)), signal))
    const result = await writer.apply({ ...tableWith(toNowhere) }, signal)
    // A chain that is not there is ENOENT, as is an element of ours that is gone: everything was tried again.
    expect(result).toMatchObject({
      ok: false,
      error: { code: 'ENOENT', object: 'add element ip vcn-writer services { 10.96.0.2 . tcp . 80 : goto nowhere }' },
    })
    expect(elementCount()).toBe(2)
    expect(how(await writer.apply(tableWith(services(1)), signal))).toBe('load')
  })

  test('an element of a first load: the error names it and nothing stays behind', async () => {
    const result = await writer.apply(tableWith(toNowhere), signal)
    expect(result).toMatchObject({
      ok: false,
      error: { code: 'ENOENT', object: 'element 10.96.0.2 . tcp . 80 of services' },
    })
    expect(nft(netns, 'list', 'tables')).toBe('')
  })

  test('a rule: the error quotes it', async () => {
    const bad: Chain = { rules: [[equals('tcp dport', 80), equals('udp dport', 80), verdict('drop')]] }
    const result = await writer.apply(tableWith(services(1), { bad }), signal)
    expect(result).toMatchObject({
      ok: false,
      error: { object: 'add rule ip vcn-writer bad tcp dport 80 udp dport 80 drop', code: 'EINVAL' },
    })
    expect(nft(netns, 'list', 'tables')).toBe('')
  })

  test('a name that nft could misread is a bug of the planner, and the writer goes on', async () => {
    await expect(writer.apply(tableWith(services(1), { 'a; drop': { rules: [] } }), signal)).rejects.toThrow(RangeError)
    expect(how(await writer.apply(tableWith(services(1)), signal))).toBe('load')
  })
})

test('learned elements are forgotten by their value', async () => {
  unwrap(await writer.apply(tableWith(services(1)), signal))
  const learned = '10.0.0.1 . 10.96.0.1 : 10.0.1.1, 10.0.0.2 . 10.96.0.1 : 10.0.1.2, 10.0.0.3 . 10.96.0.1 : 10.0.1.1'
  nft(netns, `add element ip vcn-writer affinity { ${learned} }`)
  const gone = pack(['ipv4_addr'], [ip('10.0.1.1')])
  expect(unwrap(await writer.forget('affinity', (_, value) => value === gone, signal))).toBe(2)
  expect(listTable(netns, 'ip vcn-writer').sets['affinity']?.elements).toHaveLength(1)
  expect(unwrap(await writer.forget('affinity', (_, value) => value === gone, signal))).toBe(0)
  // Learned elements are not a change by somebody else.
  expect(how(await writer.apply(tableWith(services(2)), signal))).toBe('elements')
})

test('what the kernel learned outlives a rebuild, as after a restart', async () => {
  unwrap(await writer.apply(tableWith(services(1)), signal))
  nft(netns, 'add element ip vcn-writer affinity { 10.0.0.1 . 10.96.0.1 : 10.0.1.1, 10.0.0.2 . 10.96.0.1 : 10.0.1.2 }')
  await using restarted = open()
  expect(how(await restarted.apply(tableWith(services(1)), signal))).toBe('load')
  expect(listTable(netns, 'ip vcn-writer').sets['affinity']?.elements).toHaveLength(2)
})

describe('endings', () => {
  test('a removed table is gone, and comes back with the next wish', async () => {
    unwrap(await writer.apply(tableWith(services(1)), signal))
    unwrap(await writer.remove(signal))
    unwrap(await writer.remove(signal))
    expect(nft(netns, 'list', 'tables')).toBe('')
    expect(how(await writer.apply(tableWith(services(1)), signal))).toBe('load')
  })

  test('a closed writer leaves the table, finishes what it began and rejects the rest', async () => {
    const begun = writer.apply(tableWith(services(1)), signal)
    await new Promise((resolve) => setImmediate(resolve))
    const waiting = writer.apply(tableWith(services(2)), signal)
    const refused = expect(waiting).rejects.toThrow('this writer is closed')
    await writer[Symbol.asyncDispose]()
    await refused
    expect(how(await begun)).toBe('load')
    expect(elementCount()).toBe(1)
  })

  test('waiting can be given up', async () => {
    const controller = new AbortController()
    const waiting = writer.apply(tableWith(services(1)), controller.signal)
    controller.abort(new Error('enough'))
    await expect(waiting).rejects.toThrow('enough')
    await expect(writer.apply(tableWith(services(1)), controller.signal)).rejects.toThrow('enough')
  })
})
