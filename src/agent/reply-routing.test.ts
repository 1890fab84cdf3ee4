import { afterEach, beforeEach, describe, expect, it, test } from 'vitest'
import type { LogFields, Logger } from '../base/logger.ts'
import { cidr4 } from '../datapath/plan.fixture.ts'
import { replyMark } from '../datapath/layout.ts'
import type { Rule } from '../linux/netlink/rule.ts'
import { withNetns } from '../linux/netns.ts'
import { TestNetns } from '../linux/test-netns.fixture.ts'
import { nft } from '../nftables/nft-listing.fixture.ts'
import { ReplyRouting } from './reply-routing.ts'

const rulesOf = (...blocks: readonly string[]): { readonly rules: readonly Rule[] } => ({
  rules: [
    { family: 4, priority: 512, table: 20_000, protocol: 118 },
    // As a pod's further interface has it: not about a VNIC.
    { family: 4, priority: 1536, from: cidr4('10.9.9.9/32'), table: 30_077, protocol: 3 },
    ...blocks.map((block): Rule => {
      const from = cidr4(block)
      return { family: 4, priority: 1536, from, unlessMarked: replyMark, table: 30_011, protocol: 118 }
    }),
  ],
})

let netns: TestNetns
let log: { readonly event: string; readonly fields: LogFields }[]
beforeEach(() => {
  netns = new TestNetns()
  log = []
})
afterEach(() => {
  netns[Symbol.dispose]()
})

function start(isWanted = true): ReplyRouting {
  const note = (event: string, fields: LogFields = {}): void => void log.push({ event, fields })
  const logger: Logger = { debug: note, info: note, warn: note, error: note }
  return withNetns(netns.fd, () => new ReplyRouting({ isWanted, logger }))
}

const table = (): string => nft(netns, 'list', 'ruleset')
const blocks = (): string => /elements = \{ ([^}]*) \}/.exec(table())?.[1]?.replace(/\s+/g, ' ') ?? ''

describe('ReplyRouting', () => {
  it('has one table: it marks last in prerouting, and takes the mark off first in forward', async () => {
    await using replies = start()
    await replies.follow(rulesOf('10.0.4.0/22'))
    await expect(table()).toMatchFileSnapshot('testdata/reply-table.txt')
    expect(replies.warnings).toEqual([])
  })

  test.each([
    ['none: there is no secondary VNIC', [], ''],
    ['one for all', ['10.0.4.0/22'], '10.0.4.0/22'],
    // nft shows neighbours apart, as they were made.
    ['some that touch', ['10.0.4.8/31', '10.0.4.10/32', '10.0.4.12/30'], '10.0.4.8/31, 10.0.4.10, 10.0.4.12/30'],
    ['up to the last address of all', ['255.255.255.0/24'], '255.255.255.0/24'],
  ])('knows the blocks of secondary VNICs: %s', async (_what, wanted, shown) => {
    await using replies = start()
    await replies.follow(rulesOf(...wanted))
    expect(blocks()).toBe(shown)
    await replies.follow(rulesOf('10.1.0.0/24', '10.1.1.0/24'))
    expect(blocks()).toBe('10.1.0.0/24, 10.1.1.0/24')
    await replies.follow(rulesOf(...wanted))
    expect(blocks()).toBe(shown)
    expect(replies.warnings).toEqual([])
  })

  it('mends what others flush, and says so', async () => {
    await using replies = start()
    await replies.follow(rulesOf('10.0.4.0/22'))
    const before = table()
    nft(netns, 'flush', 'ruleset')
    await expect.poll(table, { timeout: 10_000 }).toBe(before)
    expect(log.map(({ event }) => event)).toEqual(['replies.lost'])
    expect(replies.warnings).toEqual([])
  })

  it('leaves the table when the agent ends, for the next one; one that does not want it takes it away', async () => {
    {
      await using replies = start()
      await replies.follow(rulesOf('10.0.4.0/22'))
    }
    const before = table()
    expect(before).toContain('vcn-replies')
    {
      await using replies = start()
      await replies.follow(rulesOf('10.0.4.0/22'))
      expect(table()).toBe(before)
    }
    nft(netns, 'add', 'table', 'ip', 'others')
    await using replies = start(false)
    await replies.follow(rulesOf('10.0.4.0/22'))
    expect(table().trim()).toBe('table ip others {\n}')
    expect(log).toEqual([])
  })
})
