import { describe, expect, test } from 'vitest'
import { unwrap } from '../base/result.ts'
import { NftablesSocket } from '../linux/netlink/nftables/socket.ts'
import { withNetns } from '../linux/netns.ts'
import { TestNetns } from '../linux/test-netns.fixture.ts'
import { iterateElements } from './elements.ts'
import { exampleTables } from './example-tables.fixture.ts'
import { textOfTable } from './golden-table.fixture.ts'
import { Libnftables } from './libnftables.ts'
import { listTable } from './nft-listing.fixture.ts'
import { addressOf } from './raw-elements.ts'
import { NftablesWriter } from './writer.ts'

const { signal } = new AbortController()

describe.each(exampleTables)('$family $name', (table) => {
  const { family, name } = table
  const text = textOfTable(table)

  test('is written as in testdata', async () => {
    await expect(text).toMatchFileSnapshot(`./testdata/${name}.nft`)
  })

  test('is the same in the kernel whether it came by text or by raw netlink', async () => {
    using byText = new TestNetns()
    using byNetlink = new TestNetns()
    const library = unwrap(Libnftables.load())
    using context = withNetns(byText.fd, () => library.openContext())
    unwrap(await context.run(`add table ${family} ${name}\n${text}`))
    await using writer = new NftablesWriter({ library, family, name, netns: byNetlink.fd })
    unwrap(await writer.apply(table, signal))
    const listing = listTable(byNetlink, `${family} ${name}`)
    expect(listing).toEqual(listTable(byText, `${family} ${name}`))
    expect(Object.keys(listing.sets).sort()).toEqual([...table.sets.keys()].sort())
    for (const [chain, { rules }] of table.chains) expect(listing.chains[chain]?.rules).toHaveLength(rules.length)
  })

  test('is read back from the kernel byte for byte', async () => {
    using netns = new TestNetns()
    using socket = withNetns(netns.fd, () => new NftablesSocket())
    await using writer = new NftablesWriter({ library: unwrap(Libnftables.load()), family, name, netns: netns.fd })
    unwrap(await writer.apply(table, signal))
    for (const [set, { elements: wanted, interval = false, data }] of table.sets) {
      if (interval) continue
      const found = await socket.setElements(addressOf(table), set)
      const expected = [...iterateElements(wanted)].map(([key, value]) => [key, data === 'verdict' ? '' : value])
      expect([...found].sort()).toEqual(expected.sort())
    }
  })
})
