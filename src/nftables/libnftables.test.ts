import { afterEach, beforeEach, expect, test } from 'vitest'
import { unwrap } from '../base/result.ts'
import { withNetns } from '../linux/netns.ts'
import { TestNetns } from '../linux/test-netns.fixture.ts'
import { Libnftables, type NftContext } from './libnftables.ts'
import { nft } from './nft-listing.fixture.ts'

let netns: TestNetns
let library: Libnftables
let context: NftContext

beforeEach(() => {
  netns = new TestNetns()
  library = unwrap(Libnftables.load())
  context = withNetns(netns.fd, () => library.openContext())
})
afterEach(() => {
  context[Symbol.dispose]()
  netns[Symbol.dispose]()
})

const table = 'add table ip t\nadd chain ip t c\nadd map ip t m { type ipv4_addr : verdict; }\n'
const element = (last: string): string => `add element ip t m {\n10.0.0.1 : drop,\n${last}\n}\n`

test('commands take effect in the namespace the context was opened in', async () => {
  unwrap(await context.run(`${table}${element('10.0.0.2 : goto c')}`))
  expect(nft(netns, 'list', 'tables')).toBe('table ip t\n')
  expect(nft(netns, 'list', 'map', 'ip', 't', 'm')).toContain('10.0.0.2 : goto c')
})

test.each([
  ['a syntax error', 'add rule ip t c drop accepted\n', 'add rule ip t c drop accepted', /^syntax error/],
  [
    'a contradiction',
    'add rule ip t c tcp dport 1 udp dport 1\n',
    'add rule ip t c tcp dport 1 udp dport 1',
    /^conflicting/,
  ],
  [
    'a chain that is not there',
    'add rule ip t nowhere drop\n',
    'add rule ip t nowhere drop',
    /No such file or directory$/,
  ],
  ['a bad element', element('10.0.0.x : drop'), 'add element ip t m { 10.0.0.x : drop }', /^syntax error/],
  [
    'an element that points nowhere',
    element('10.0.0.3 : goto nowhere'),
    'add element ip t m { 10.0.0.3 : goto nowhere }',
    /No such file or directory$/,
  ],
])('%s is told with its command, and nothing has happened', async (_, bad, command, message) => {
  const result = await context.run(`${table}${bad}add chain ip t later\n`)
  expect(result).toMatchObject({ ok: false, error: { command, message: expect.stringMatching(message) as string } })
  expect(nft(netns, 'list', 'tables')).toBe('')
})

test('a complaint is told once', async () => {
  expect((await context.run('add rule ip t c drop\n')).ok).toBe(false)
  unwrap(await context.run(table))
  unwrap(await context.run('add rule ip t c drop\n'))
})

test('contexts of several namespaces take turns', async () => {
  using second = new TestNetns()
  using other = withNetns(second.fd, () => library.openContext())
  const runs = Array.from({ length: 20 }, (_, index) => {
    const chosen = index % 2 === 0 ? context : other
    return chosen.run(`add table ip t${index}\nadd chain ip t${index} c\nadd rule ip t${index} c iif lo drop\n`)
  })
  expect((await Promise.all(runs)).every(({ ok }) => ok)).toBe(true)
  for (const [namespace, rest] of [
    [netns, 0],
    [second, 1],
  ] as const) {
    const tables = nft(namespace, 'list', 'tables').trim().split('\n')
    expect(tables.map((line) => Number(line.slice('table ip t'.length)) % 2)).toEqual(tables.map(() => rest))
    expect(tables).toHaveLength(10)
  }
})

test('closing waits for the commands under way', async () => {
  const running = context.run(table)
  context[Symbol.dispose]()
  expect((await running).ok).toBe(true)
  await expect(context.run(table)).rejects.toThrow('this context of libnftables is closed')
  expect(nft(netns, 'list', 'tables')).toBe('table ip t\n')
})
