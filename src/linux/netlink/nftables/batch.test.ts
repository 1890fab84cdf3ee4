import { execFileSync } from 'node:child_process'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { unwrap } from '../../../base/result.ts'
import { withNetns } from '../../netns.ts'
import { TestNetns } from '../../test-netns.fixture.ts'
import { type Batch, BatchWriter, type RawElement, restampBatch } from './batch.ts'
import { NftablesSocket } from './socket.ts'

const table = { family: 2, name: 't' } as const
const nobody = { family: 2, name: 'nobody' } as const
const bytes = (hex: string): string => Buffer.from(hex, 'hex').toString('latin1')
const address = (last: number): string => bytes('0a0000') + String.fromCharCode(last)

let netns: TestNetns
let socket: NftablesSocket

beforeEach(() => {
  netns = new TestNetns()
  socket = withNetns(netns.fd, () => new NftablesSocket())
  nft(`add table ip t
    add chain ip t c
    add set ip t members { type ipv4_addr; }
    add set ip t blocks { type ipv4_addr; flags interval; }
    add map ip t services { type ipv4_addr . inet_proto . inet_service : verdict; }
    add map ip t ports { type ipv4_addr : ipv4_addr . inet_service; }`)
})
afterEach(() => {
  socket[Symbol.dispose]()
  netns[Symbol.dispose]()
})

function nft(commands: string): string {
  return execFileSync('ip', ['netns', 'exec', netns.name, 'nft', commands], { encoding: 'utf8', stdio: 'pipe' })
}
const listed = (): string => nft('list table ip t').replaceAll(/\s+/g, ' ')

function adding(set: string, elements: readonly RawElement[], generation = socket.generation()): Batch {
  const writer = new BatchWriter(generation)
  for (const element of elements) writer.element('add', table, set, element)
  return writer.done()
}

describe('what the kernel makes of the bytes', () => {
  test.each<[string, string, RawElement, string]>([
    ['a member of a set', 'members', { key: address(1) }, '10.0.0.1'],
    [
      'a concatenation that points to a chain',
      'services',
      { key: bytes('0a600001' + '06000000' + '01bb0000'), data: { kind: 'verdict', word: 'goto', chain: 'c' } },
      '10.96.0.1 . tcp . 443 : goto c',
    ],
    [
      'one that is dropped',
      'services',
      { key: bytes('0a600002' + '11000000' + '00350000'), data: { kind: 'verdict', word: 'drop' } },
      '10.96.0.2 . udp . 53 : drop',
    ],
    [
      'an address and a port as value',
      'ports',
      { key: address(2), data: { kind: 'bytes', bytes: bytes('0a000003' + '1f900000') } },
      '10.0.0.2 : 10.0.0.3 . 8080',
    ],
  ])('%s', async (_, set, element, text) => {
    unwrap(await socket.transact(adding(set, [element])))
    expect(listed()).toContain(`elements = { ${text} }`)
    const writer = new BatchWriter(socket.generation())
    writer.element('delete', table, set, element)
    unwrap(await socket.transact(writer.done()))
    expect(listed()).not.toContain('elements')
  })

  test('a range, by its first key and the one behind it', async () => {
    unwrap(await socket.transact(adding('blocks', [{ key: address(0) }, { key: address(16), isIntervalEnd: true }])))
    expect(listed()).toContain('elements = { 10.0.0.0/28 }')
  })

  test('nothing of a set that is emptied', async () => {
    unwrap(await socket.transact(adding('members', [{ key: address(1) }, { key: address(2) }])))
    for (const _time of ['full', 'empty']) {
      const writer = new BatchWriter(socket.generation())
      writer.flush(table, 'members')
      unwrap(await socket.transact(writer.done()))
      expect(await socket.setElements(table, 'members')).toEqual([])
    }
  })

  test('more elements than fit one message', async () => {
    const many = Array.from({ length: 5000 }, (_, index) => ({
      key: bytes('0a00') + String.fromCharCode(index >> 8, index & 255),
    }))
    unwrap(await socket.transact(adding('members', many)))
    expect(await socket.setElements(table, 'members')).toHaveLength(5000)
  })
})

describe('all or nothing', () => {
  test('of two sets, when the second refuses', async () => {
    const writer = new BatchWriter(socket.generation())
    writer.element('add', table, 'members', { key: address(1) })
    writer.element('delete', table, 'services', { key: bytes('0a600001' + '06000000' + '01bb0000') })
    expect(await socket.transact(writer.done())).toEqual({
      ok: false,
      error: {
        kind: 'refused',
        code: 'ENOENT',
        text: 'no such file or directory',
        set: 'services',
        key: bytes('0a600001' + '06000000' + '01bb0000'),
      },
    })
    expect(await socket.setElements(table, 'members')).toEqual([])
  })

  test.each([1, 2, 700])('the refused one of 1,000 is told: number %i', async (index) => {
    const elements = Array.from({ length: 1000 }, (_, one) => ({
      key: bytes('0a00') + String.fromCharCode(one >> 8, one & 255),
    }))
    unwrap(await socket.transact(adding('members', elements.slice(index, index + 1))))
    const result = await socket.transact(adding('members', elements))
    expect(result).toMatchObject({ ok: false, error: { code: 'EEXIST', set: 'members', key: elements[index]?.key } })
    expect(await socket.setElements(table, 'members')).toHaveLength(1)
  })

  test.each([
    ['a set that is not there', table, 'nothing', 'ENOENT'],
    ['a table that is not there', nobody, 'members', 'ENOENT'],
  ] as const)('%s', async (_, where, set, code) => {
    const writer = new BatchWriter(socket.generation())
    writer.element('add', where, set, { key: address(1) })
    expect(await socket.transact(writer.done())).toMatchObject({ ok: false, error: { kind: 'refused', code, set } })
  })

  test('a key of another length', async () => {
    const result = await socket.transact(adding('members', [{ key: 'abc' }]))
    expect(result).toMatchObject({ ok: false, error: { kind: 'refused', code: 'EINVAL', set: 'members' } })
  })
})

describe('generations', () => {
  test('a batch for another generation is stale, and can be stamped anew', async () => {
    const batch = adding('members', [{ key: address(1) }])
    nft('add table ip other')
    expect(await socket.transact(batch)).toMatchObject({ ok: false, error: { kind: 'stale', code: 'ERESTART' } })
    expect(await socket.setElements(table, 'members')).toEqual([])
    restampBatch(batch, socket.generation())
    unwrap(await socket.transact(batch))
    expect(await socket.setElements(table, 'members')).toHaveLength(1)
  })

  test('every transaction makes the next one', async () => {
    const before = socket.generation()
    unwrap(await socket.transact(adding('members', [{ key: address(1) }])))
    expect(socket.generation()).toBe(before + 1)
  })

  test('but one that had nothing to do makes none', async () => {
    const before = socket.generation()
    const writer = new BatchWriter(before)
    writer.flush(table, 'members')
    unwrap(await socket.transact(writer.done()))
    expect(socket.generation()).toBe(before)
  })

  test('unless a chain passes through it, of which nothing is left', async () => {
    const [before, objects] = [socket.generation(), socket.table(table)?.objectCount]
    const writer = new BatchWriter(before)
    writer.flush(table, 'members')
    writer.passingChain(table, 'passing')
    unwrap(await socket.transact(writer.done()))
    expect([socket.generation(), socket.table(table)?.objectCount]).toEqual([before + 1, objects])
  })
})

test('a table is woken and deleted by batches', async () => {
  nft('add table ip sleeper { flags dormant; }')
  const sleeper = { family: 2, name: 'sleeper' }
  expect(socket.table(sleeper)).toMatchObject({ name: 'sleeper', isDormant: true })
  const waking = new BatchWriter(socket.generation())
  waking.wake(sleeper)
  unwrap(await socket.transact(waking.done()))
  expect(socket.table(sleeper)?.isDormant).toBe(false)
  const deleting = new BatchWriter(socket.generation())
  deleting.deleteTable(sleeper)
  unwrap(await socket.transact(deleting.done()))
  expect(socket.table(sleeper)).toBeUndefined()
})

test('of a table without listing it: handles and counts', async () => {
  unwrap(await socket.transact(adding('members', [{ key: address(1) }, { key: address(2) }])))
  nft('add rule ip t c drop')
  expect(socket.table(table)).toMatchObject({ objectCount: 5, isDormant: false })
  expect(socket.rules(table).map(({ chain }) => chain)).toEqual(['c'])
  expect(socket.sets(table).map(({ name }) => name)).toEqual(['members', 'blocks', 'services', 'ports'])
  const [members] = socket.sets(table)
  // The kernel tells since 6.16.
  expect([2, undefined]).toContain(members?.elementCount)
})

test('of a table that is not there: nothing', async () => {
  expect(socket.table(nobody)).toBeUndefined()
  expect(socket.rules(nobody)).toEqual([])
  expect(socket.sets(nobody)).toEqual([])
  expect(await socket.setElements(nobody, 'members')).toEqual([])
})

test('one transaction at a time, and closing waits for it', async () => {
  const running = socket.transact(adding('members', [{ key: address(1) }]))
  expect(() => socket.generation()).toThrow('under way')
  socket[Symbol.dispose]()
  unwrap(await running)
  expect(listed()).toContain('10.0.0.1')
})
